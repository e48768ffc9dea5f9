"""What a server may respond with that is no list of what there is."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

from tests.soak.proxy import Lie

_OBJECT = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)
_MORE = re.compile(rb"<NextContinuationToken>.*?</NextContinuationToken>", re.DOTALL)


def error(_: bytes) -> bytes:
    return b"<Error><Code>InternalError</Code></Error>"


def web_page(_: bytes) -> bytes:
    return b'<html xmlns="http://www.w3.org/1999/xhtml"><body>Maintenance</body></html>'


def nothing(_: bytes) -> bytes:
    return b""


def of_version_1(page: bytes) -> bytes:
    """There is more, and nothing asks for it."""
    cut = _keep(page, lambda number, _: number % 2 == 0)
    return _MORE.sub(b"", cut).replace(b"<IsTruncated>false<", b"<IsTruncated>true<")


def shortened(page: bytes) -> bytes:
    """Nothing says that it is only the first half of a page."""
    half = len(_OBJECT.findall(page)) // 2
    ended = _MORE.sub(b"", _keep(page, lambda number, _: number < half))
    return ended.replace(b"<IsTruncated>true<", b"<IsTruncated>false<")


def empty(page: bytes) -> bytes:
    ended = _MORE.sub(b"", _keep(page, lambda *_: False))
    return ended.replace(b"<IsTruncated>true<", b"<IsTruncated>false<")


def with_gaps(page: bytes) -> bytes:
    """It never shows some objects."""
    return _keep(page, lambda _, key: zlib.crc32(key) % 4 > 0)


def of_repositories(lie: Lie) -> Lie:
    """Return a lie about repositories, while blobs are shown as they are."""

    def told(page: bytes) -> bytes:
        return lie(page) if b"<Prefix>docker/registry/v2/repositories/<" in page else page

    return told


LIES: dict[str, Lie] = {
    "no repositories": of_repositories(empty),
    "an error": error,
    "some repositories": of_repositories(shortened),
    "a page of the web": web_page,
    "gaps": with_gaps,
    "no token": of_version_1,
    "nothing at all": nothing,
    "no objects": empty,
}


def _keep(page: bytes, keeps: Callable[[int, bytes], bool]) -> bytes:
    """Return a page with some of its objects, by their numbers and keys."""
    number = -1

    def replacement(match: re.Match[bytes]) -> bytes:
        nonlocal number
        number += 1
        key = re.findall(rb"<Key>(.*?)</Key>", match[0])[0]
        return match[0] if keeps(number, key) else b""

    kept = _OBJECT.sub(replacement, page)
    count = b"<KeyCount>%d</KeyCount>" % len(_OBJECT.findall(kept))
    return re.sub(rb"<KeyCount>\d+</KeyCount>", count, kept)
