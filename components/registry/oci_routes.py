"""The routes of the OCI distribution specification, and which right each of them takes.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
NAME = rf"{_PART}(?:/{_PART})*"
"""A regular expression of a repository's name."""

_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_DIGEST = r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[A-Za-z0-9=_-]+"

PATHS = {
    kind: rf"/v2/{path}(?:\?.*)?"
    for kind, path in {
        "base": "",
        "catalog": "_catalog",
        "tags": rf"(?P<repository>{NAME})/tags/list",
        "manifests": rf"(?P<repository>{NAME})/manifests/(?P<reference>{_TAG}|{_DIGEST})",
        "blobs": rf"(?P<repository>{NAME})/blobs/(?P<reference>{_DIGEST})",
        "uploads": rf"(?P<repository>{NAME})/blobs/uploads/",
        "upload": rf"(?P<repository>{NAME})/blobs/uploads/[0-9a-f-]{{36}}",
        "referrers": rf"(?P<repository>{NAME})/referrers/(?P<reference>{_DIGEST})",
    }.items()
}
"""Regular expressions of paths and queries, as a client sends them, by kind of route. No reference
contains a slash, so the last segments tell the kind, and the rest is the repository."""

FORGET_PATH = rf"/v2/{NAME}/manifests/{_DIGEST}"
"""A regular expression of the paths by which the maintenance makes a pod forget a blob."""

LONG_NAME = ".{256,}"
"""A regular expression of names that are longer than registries take:
https://github.com/distribution/reference/blob/v0.6.0/reference.go"""

CONTENT_RANGE = r"\d{1,18}-\d{1,18}"
"""A regular expression of the range of an upload's chunk."""

Right = Literal["login", "pull", "push"]
RIGHTS: tuple[Right, ...] = ("login", "pull", "push")
"""What a user may do with a repository; each includes those before it."""

Pool = Literal["", "uploads", "manifests"]
"""Whose places a request takes: see components/registry/places.py."""


@dataclass(frozen=True)
class Operation:
    """Requests that are treated alike.

    What the registry gets is built from these attributes. Nothing else of a client's request is
    passed on to it.

    Attributes:
        kind: A key of :data:`PATHS`.
        logged: Whether the audit log shows them when they succeed.
        query: The parameters of the query that mean something.
        headers: The headers that mean something.
        pool: Whose places it takes; empty for requests without a body.
    """

    kind: str
    methods: tuple[str, ...]
    right: Right
    logged: bool = True
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    pool: Pool = ""

    @property
    def names(self) -> list[str]:
        """What the variable ``operation`` holds."""
        return [f"{self.kind} {method}" for method in self.methods]


START, START_WITH_BODY = "uploads POST", "uploads POST with a body"
"""The operation that starts an upload, and its form with the whole blob in the same request. The
registry responds to both alike, and the client uploads the blob after that."""

_PAGE = ("n", "last")
_CONDITIONS = ("If-Match", "If-None-Match")

OPERATIONS = (
    Operation("base", ("GET", "HEAD"), "login", logged=False),
    # Of no repository: the right to pull that is the right to pull everything.
    Operation("catalog", ("GET",), "pull", query=_PAGE),
    Operation("tags", ("GET",), "pull", query=_PAGE),
    Operation("referrers", ("GET",), "pull", query=("artifactType",)),
    Operation("manifests", ("GET",), "pull", headers=("Accept", "If-None-Match")),
    Operation("manifests", ("HEAD",), "pull", headers=("Accept", "If-None-Match"), logged=False),
    Operation("manifests", ("PUT",), "push", pool="manifests"),
    Operation("manifests", ("DELETE",), "push"),
    # No DELETE but for the maintenance: each replica remembers which layers exist, and would let a
    # later push do without what was deleted (components/registry/two_registries.py).
    Operation("blobs", ("GET",), "pull", headers=(*_CONDITIONS, "If-Range", "Range")),
    Operation("blobs", ("HEAD",), "pull", headers=_CONDITIONS, logged=False),
    # Its query: components/registry/auth_proxy.py
    Operation("uploads", ("POST",), "push", logged=False),
    Operation("uploads", ("POST with a body",), "push", logged=False, pool="uploads"),
    Operation("upload", ("PATCH", "PUT"), "push", query=("_state", "digest"), pool="uploads"),
    # Asking for an upload's status writes an object.
    Operation("upload", ("GET", "HEAD", "DELETE"), "push", query=("_state",), logged=False),
)
"""All that is served."""
