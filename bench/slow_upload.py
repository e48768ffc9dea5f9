"""Push layers as slowly as a thin uplink does, and tell whether they arrive.

    pulumi stack output password --show-secrets |
        venv/bin/python -m bench.slow_upload https://registry.example.com --username admin \
            --password-file - --size 1024 --rate 20 --count 10

At these, the defaults, it takes 72 minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts import smoke_test

REPOSITORY = "slow"
"""The repository that gets the layers. No manifest names them: the next collection takes them."""


ANSWER_SECONDS = 600
"""How long an answer may take: to close an upload, the registry has the store copy all of it."""


@dataclass(frozen=True)
class Upload:
    """How one upload ended.

    Attributes:
        arrived: Whether the registry has the layer, with the digest that was sent.
        seconds: How long the request took that sent it; until the end if it did not arrive.
        answer: What was answered in the end: a status, or the connection's error.
    """

    arrived: bool
    seconds: float
    answer: str


class Layer:
    """Random bytes that are handed out no faster than a rate.

    Args:
        size: Bytes.
        rate: Bytes a second.
    """

    def __init__(self, size: int, rate: int) -> None:
        self._size, self._rate = size, rate
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The digest of what was handed out so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def __iter__(self) -> Iterator[bytes]:
        start, sent = time.monotonic(), 0
        while sent < self._size:
            piece = os.urandom(min(max(self._rate // 10, 1), self._size - sent))
            sent += len(piece)
            time.sleep(max(0.0, start + sent / self._rate - time.monotonic()))
            self._hash.update(piece)
            yield piece


def upload(registry: smoke_test.Registry, size: int, rate: int) -> Upload:
    """Push one layer, as clients do: open an upload, send all in one PATCH, close it.

    Args:
        registry: The registry, with the login of who may push.
        size: Of the layer, in bytes.
        rate: Bytes a second.

    Raises:
        smoke_test.SmokeTestError: If the registry takes no upload at all.
        OSError: If there is no answer.
    """
    location = registry.call("POST", f"v2/{REPOSITORY}/blobs/uploads/", [202]).headers["location"]
    layer = Layer(size, rate)
    start = time.monotonic()
    try:
        _, location = _send(registry, "PATCH", location, layer)
        seconds = time.monotonic() - start
        closing = f"{location}{'&' if '?' in location else '?'}digest={layer.digest}"
        status, _ = _send(registry, "PUT", closing, b"")
    except OSError as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        return Upload(False, time.monotonic() - start, str(error))
    return Upload(True, seconds, str(status))


def _send(
    registry: smoke_test.Registry, method: str, path: str, body: Iterable[bytes] | bytes
) -> tuple[int, str]:
    """Send one request, and answer the status and where to go on."""
    request = urllib.request.Request(  # noqa: S310 - checked by main
        urllib.parse.urljoin(registry.url, path),
        body,
        {"Authorization": registry.authorization or "", "Content-Type": "application/octet-stream"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:  # noqa: S310
        return response.status, response.headers["Location"]


def main() -> int:
    """Run from the command line, and answer the exit status."""
    parser = argparse.ArgumentParser(
        description="Push layers as slowly as a thin uplink does, and tell whether they arrive.",
        epilog="Exits with 0 if all of them did. The layers stay until the next collection.",
    )
    parser.add_argument("url", help="such as https://registry.example.com")
    parser.add_argument("--username", required=True, help="whom to log in as")
    parser.add_argument("--password-file", required=True, help="that user's password; - for stdin")
    parser.add_argument("--size", type=float, default=1024, metavar="MIB", help="default 1024")
    parser.add_argument("--rate", type=float, default=20, metavar="MBIT/S", help="default 20")
    parser.add_argument("--count", type=int, default=10, help="how many, one by one; default 10")
    given = parser.parse_args()
    if not given.url.startswith(("https://", "http://")):
        parser.error(f"{given.url}: expected a URL, such as https://registry.example.com")
    source = given.password_file
    password = (sys.stdin.read() if source == "-" else Path(source).read_text()).rstrip("\n")
    registry = smoke_test.Registry(given.url, smoke_test.basic(given.username, password))
    arrived = 0
    for number in range(1, given.count + 1):
        one = upload(registry, int(given.size * 2**20), int(given.rate * 10**6 / 8))
        arrived += one.arrived
        print(
            f"{number}/{given.count}: {'arrived' if one.arrived else 'LOST'} "
            f"after {one.seconds:.1f} s: {one.answer}",
            flush=True,
        )
    print(f"{arrived} of {given.count} arrived")
    return 0 if arrived == given.count else 1


if __name__ == "__main__":
    sys.exit(main())
