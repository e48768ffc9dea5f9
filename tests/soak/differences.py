"""How responses differ from a plain registry's, and which differences the documentation has."""

from __future__ import annotations

import re
import sys
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.soak.recorder import Exchange
from tests.soak.rights import RIGHTS, Expected, Request, expected

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "compatibility.md"
HEADING = "## How it differs from plain distribution"

IGNORED = {"date", "connection"}
"""Headers that are another each time, or of one connection only."""

CHANGING = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UPLOAD"),
    (re.compile(r"_state=[^&]*"), "_state=STATE"),
    (re.compile(r"127\.0\.0\.1(:|%3A)\d+"), "HOST"),
    (re.compile(r"(boundary=|^--|\n--)[0-9a-f]{60}"), r"\1BOUNDARY"),
)


@dataclass(frozen=True)
class Difference:
    """What is not the same in two responses to one request.

    Attributes:
        field: ``status``, ``body`` or a header's name.
        values: That of the plain registry and that of the program.
    """

    field: str
    values: tuple[str, str]
    plain: Exchange
    here: Exchange

    def __str__(self) -> str:
        plain, here = self.values
        return f"{self.here.method} {self.here.target}: {self.field} {plain!r}, here {here!r}"


ALWAYS = {
    "docker-distribution-api-version": "registry/2.0",
    "x-content-type-options": "nosniff",
}
"""Headers of all responses of both."""

NOT_ASKED = Exchange("", "", {}, b"", True, 0, {**ALWAYS, "content-type": "application/json"}, b"")
"""The plain registry's, to whom no request is sent that only the rights of users forbid."""


def due(here: Exchange) -> Expected:
    """Return what is to become of a request by the documentation."""
    login = b64decode(here.sent.get("authorization", "").removeprefix("Basic ")).decode()
    user, _, password = login.partition(":")
    request = Request(
        user=user if user == password and user in RIGHTS else "",
        method=here.method,
        target=here.target,
        headers=list(here.sent.items()),
        # What is refused may be so before its body has come.
        body=here.body or bytes(int(here.sent.get("content-length", 0))),
        chunked="transfer-encoding" in here.sent,
    )
    return expected(request)


def _refused(status: int, code: str) -> Callable[[Difference], bool]:
    """Return whether the auth proxy has refused a request, and had to."""

    def fits(difference: Difference) -> bool:
        plain, here = difference.plain, difference.here
        if difference.field in ALWAYS:
            return difference.values[1] == ALWAYS[difference.field]
        if difference.field not in {"status", "body"} and plain.status in {0, status}:
            # Their 404 and 405 are texts.
            return difference.field == "content-type" and status in {404, 405}
        right = here.method == "HEAD" or f'"{code}"'.encode() in here.content
        return here.status == status == due(here).status and right

    return fits


def _not_mounted(difference: Difference) -> bool:
    plain, here = difference.plain, difference.here
    given = "mount=" in here.target and not due(here).query
    return given and (plain.status, here.status) == (201, 202)


def _invalid(difference: Difference) -> bool:
    plain, here = difference.plain, difference.here
    return (
        difference.field in {"status", "body"}
        and (b'"MANIFEST_INVALID"' in plain.content or b"unrecognized manifest" in plain.content)
        and (plain.status in {400, 500} and here.status == 400)
        and b'"MANIFEST_INVALID"' in here.content
    )


def _foreign(difference: Difference) -> bool:
    urls = b"https://example.com/" in difference.here.body
    return urls and (difference.plain.status, difference.here.status) == (500, 201)


def _large_cache(difference: Difference) -> bool:
    body = difference.here.body
    statuses = (difference.plain.status, difference.here.status)
    return b"buildkit" in body and len(body) > 29_999 and statuses == (201, 400)


ROWS: Mapping[str, Callable[[Difference], bool]] = {
    "`Location`": lambda x: x.field == "location" and x.values[0] == "http://HOST" + x.values[1],
    "`Server`, `Via`, `Strict-Transport-Security`": lambda x: (
        x.field in {"server", "via", "strict-transport-security"}
        and x.values[1] in {"Caddy", "1.1 Caddy", "max-age=31536000"}
    ),
    "no login, or a wrong one": _refused(401, "UNAUTHORIZED"),
    "what a user may not do": _refused(403, "DENIED"),
    "a mount from where the user may not pull": _not_mounted,
    "paths that are no route as the specification writes it": _refused(404, "UNSUPPORTED"),
    "methods that a route does not have, and `DELETE` of layers": _refused(405, "UNSUPPORTED"),
    "a body where the route has none": _refused(413, "SIZE_INVALID"),
    "a chunk's `Content-Range` that is not `0-99`": _refused(416, "BLOB_UPLOAD_INVALID"),
    "a manifest of no known `schemaVersion`, such as `{}`": _invalid,
    "layers with URLs": _foreign,
    "a large index of layers": _large_cache,
}
"""The rows of the table, and whether one of them says so of a difference."""


def documented() -> list[str]:
    """Return the rows of the table in the documentation."""
    section = DOCUMENT.read_text().split(HEADING)[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [line.removeprefix("| ").split(" | ")[0] for line in lines[1:]]


def unchanging(text: str) -> str:
    """Return a text without what is another one each time."""
    for pattern, replacement in CHANGING:
        text = pattern.sub(replacement, text)
    return text


def _fields(exchange: Exchange, length: int) -> dict[str, str]:
    headers = {k: unchanging(v) for k, v in exchange.headers.items() if k not in IGNORED}
    body = unchanging(exchange.content[:length].decode("latin-1"))
    if exchange.status >= 400:
        # Spaces mean nothing.
        headers.pop("content-length", None)
        body = re.sub(r"\s", "", body)
    return {**headers, "status": str(exchange.status), "body": body}


def differences(plain: Exchange, here: Exchange) -> list[Difference]:
    """Return how two responses differ."""
    # A client may stop reading.
    stopped = [
        x.content for x in (plain, here) if len(x.content) < int(x.headers.get("content-length", 0))
    ]
    length = min(map(len, stopped)) if stopped else sys.maxsize
    first, second = _fields(plain, length), _fields(here, length)
    names = sorted({*first, *second})
    pairs = {name: (first.get(name, ""), second.get(name, "")) for name in names}
    return [Difference(name, x, plain, here) for name, x in pairs.items() if x[0] != x[1]]


def unknown(found: list[Difference], used: set[str]) -> list[str]:
    """Return the differences that no row of the table has, and note which rows are used."""
    problems = []
    for difference in found:
        rows = {name for name, fits in ROWS.items() if fits(difference)}
        used |= rows
        if not rows:
            problems.append(str(difference))
    return problems
