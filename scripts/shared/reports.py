"""What Jobs tell users on the page: a ConfigMap, which the auth proxy serves.

A user sees what they may pull and nothing else, so there is one report for each set of rights.
Never a secret: https://kubernetes.io/docs/concepts/configuration/configmap/
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scripts.shared.api_server import ApiServer, ApiServerError

USAGE, FINDINGS = "usage", "findings"
"""What reports are about, as their names begin: ``<kind>.<rights>.json.gz``."""

METRICS = f"{FINDINGS}.prom"
"""The name of the metrics of the scan, beside its reports."""

MOST_BYTES = 480 * 1024
"""What all reports of one kind may take: a ConfigMap holds 1 MiB, and there may be two kinds.
https://kubernetes.io/docs/concepts/configuration/configmap/#motivation"""

MOST_ITEMS = 2**18
"""How many items a report has at most, such as tags."""

PATIENCE_SECONDS = 30
"""How long an API server that does not respond is waited for: the next run tells users, too."""

Make = Callable[[Sequence[str], int], object]
"""Returns the report for who may pull repositories of some patterns, with so many items at most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a Job needs to write reports; without them it writes none."""
    parser.add_argument("--reports", metavar="NAMESPACE/NAME", help="the ConfigMap of reports")
    parser.add_argument("--rights", default="{}", help="patterns of repositories by key, in JSON")
    parser.add_argument("--credentials", type=Path, help="token and ca.crt for the API server")


def publish(args: argparse.Namespace, kind: str, make: Make) -> None:
    """Replace all reports of a kind. What goes wrong is printed, and fails nothing.

    Args:
        args: Those of :func:`add_arguments`.
        kind: What they are about.
        make: Makes one.
    """
    if not args.reports:
        return
    try:
        write(args, kind, make, {})
    except (ApiServerError, OSError) as error:
        print(f"the page does not show this: {error}")


def write(args: argparse.Namespace, kind: str, make: Make, files: Mapping[str, bytes]) -> None:
    """Replace all reports of a kind, and files whose names begin likewise.

    Raises:
        ApiServerError: The API server refuses.
        OSError: There is no token.
    """
    reports = report_files(kind, json.loads(args.rights), make)
    api = ApiServer(args.credentials, PATIENCE_SECONDS)
    _replace(api, args.reports, kind, {**reports, **files})


def read(args: argparse.Namespace, kind: str, patterns: Sequence[str]) -> object:
    """Return the last report for who may pull repositories of some patterns; None without one.

    Raises:
        ApiServerError: The API server refuses.
        OSError: There is no token.
    """
    rights: dict[str, list[str]] = json.loads(args.rights)
    (key,) = (key for key, x in rights.items() if x == patterns)
    known = ApiServer(args.credentials, PATIENCE_SECONDS).call("GET", _path(args.reports)) or {}
    try:
        content = base64.b64decode(known["binaryData"][f"{kind}.{key}.json.gz"])
        report: object = json.loads(gzip.decompress(content))
    except (LookupError, TypeError, ValueError, EOFError, OSError):
        return None
    return report


def report_files(kind: str, rights: Mapping[str, Sequence[str]], make: Make) -> dict[str, bytes]:
    """Return the reports of a kind, by their names; `rights` has the patterns of each by key."""
    most = MOST_BYTES // max(len(rights), 1)
    return {
        f"{kind}.{key}.json.gz": _fitting(make, patterns, most) for key, patterns in rights.items()
    }


def may_pull(patterns: Sequence[str], repository: str) -> bool:
    """Return whether a repository is one of some patterns, as the auth proxy decides it."""
    return any(
        repository.startswith(pattern[:-1]) if pattern.endswith("*") else repository == pattern
        for pattern in patterns
    )


def _fitting(make: Make, patterns: Sequence[str], most_bytes: int) -> bytes:
    """Return a report, compressed, with as many items as there is room for."""
    items = MOST_ITEMS
    while True:
        text = json.dumps(make(patterns, items), separators=(",", ":"))
        content = gzip.compress(text.encode(), mtime=0)
        if len(content) <= most_bytes or not items:
            return content
        items //= 2


def _replace(api: ApiServer, place: str, kind: str, files: Mapping[str, bytes]) -> None:
    path = _path(place)
    known = api.call("GET", path)
    # Of other kinds, other Jobs write.
    kept = known.get("binaryData") or {} if known else {}
    data: dict[str, str | None] = {key: None for key in kept if key.startswith(f"{kind}.")}
    data |= {key: base64.b64encode(content).decode() for key, content in files.items()}
    if not api.call("PATCH", path, {"binaryData": data}):
        raise ApiServerError(f"the API server does not take the ConfigMap {place}")


def _path(place: str) -> str:
    namespace, name = place.split("/")
    return f"/api/v1/namespaces/{namespace}/configmaps/{name}"
