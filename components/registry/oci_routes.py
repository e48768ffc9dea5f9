"""The routes of the OCI distribution specification, and which right each of them takes.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = rf"{_PART}(?:/{_PART})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_DIGEST = r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[A-Za-z0-9=_-]+"

PATHS = {
    kind: rf"/v2/{path}(?:\?.*)?"
    for kind, path in {
        "base": "",
        "catalog": "_catalog",
        "tags": rf"(?P<repository>{_NAME})/tags/list",
        "manifests": rf"(?P<repository>{_NAME})/manifests/(?P<reference>{_TAG}|{_DIGEST})",
        "blobs": rf"(?P<repository>{_NAME})/blobs/(?P<reference>{_DIGEST})",
        "uploads": rf"(?P<repository>{_NAME})/blobs/uploads/",
        "upload": rf"(?P<repository>{_NAME})/blobs/uploads/[0-9a-f-]{{36}}",
        "referrers": rf"(?P<repository>{_NAME})/referrers/(?P<reference>{_DIGEST})",
    }.items()
}
"""Regular expressions of paths and queries, as a client sends them, by kind of route. No reference
contains a slash, so the last segments tell the kind, and the rest is the repository."""

FORGET_PATH = rf"/v2/{_NAME}/(?:manifests|blobs)/{_DIGEST}"
"""A regular expression of the paths by which the maintenance makes a pod forget a blob."""

_MOUNT = "mount=[a-z0-9]+(?::|%3[Aa])[0-9a-f]+"
_SOURCE = _NAME.replace("/", "(?:/|%2[Ff])")
SOURCE_QUERY = f"(?:{_MOUNT}&)?from=(?P<source>{_SOURCE})(?:&{_MOUNT})?"
"""A regular expression of the query that mounts a blob of another repository."""

Right = Literal["login", "pull", "push"]
RIGHTS: tuple[Right, ...] = ("login", "pull", "push")
"""What a user may do with a repository; each includes those before it."""


@dataclass(frozen=True)
class Operation:
    """Requests that are treated alike.

    Attributes:
        kind: A key of :data:`PATHS`.
        methods: The methods.
        right: What the user needs.
        logged: Whether the audit log shows them when they succeed.
        limited: Whether their bodies take memory in the registry.
    """

    kind: str
    methods: tuple[str, ...]
    right: Right
    logged: bool = True
    limited: bool = False


OPERATIONS = (
    Operation("base", ("GET", "HEAD"), "login", logged=False),
    # Of no repository: the right to pull that is the right to pull everything.
    Operation("catalog", ("GET",), "pull"),
    Operation("tags", ("GET",), "pull"),
    Operation("referrers", ("GET",), "pull"),
    Operation("manifests", ("GET",), "pull"),
    Operation("manifests", ("HEAD",), "pull", logged=False),
    Operation("manifests", ("PUT",), "push"),
    Operation("manifests", ("DELETE",), "push"),
    # No DELETE but for the maintenance: each replica remembers which layers exist, and would let a
    # later push do without what was deleted (components/registry/two_registries.py).
    Operation("blobs", ("GET",), "pull"),
    Operation("blobs", ("HEAD",), "pull", logged=False),
    Operation("uploads", ("POST",), "push", logged=False),
    Operation("upload", ("PATCH", "PUT"), "push", limited=True),
    # Asking for an upload's status writes an object.
    Operation("upload", ("GET", "HEAD", "DELETE"), "push", logged=False),
)
"""All that is served."""
