"""Push layers at the rate of a slow uplink, and report whether they arrive.

    pulumi stack output password --show-secrets |
        venv/bin/python -m bench.slow_upload https://registry.example.com --username admin \
            --password-file - --size 1024 --rate 20 --count 10

These are the defaults; it takes 72 minutes.
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

from scripts.shared import registry_client

REPOSITORY = "slow"
"""The repository of the layers. No manifest refers to them: a garbage collection deletes them."""


RESPONSE_SECONDS = 600
"""Timeout of a response: to close an upload, the registry makes the storage copy all of it."""


@dataclass(frozen=True)
class Upload:
    """The result of one upload.

    Attributes:
        arrived: Whether the registry has the layer, with the correct digest.
        seconds: The duration of the request with the layer, or until the failure.
        response: The last status, or the connection's error.
    """

    arrived: bool
    seconds: float
    response: str


class Layer:
    """An iterable of random bytes with a limited rate.

    Args:
        size: In bytes.
        rate: In bytes per second.
    """

    def __init__(self, size: int, rate: int) -> None:
        self._size, self._rate = size, rate
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The digest of the bytes so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def __iter__(self) -> Iterator[bytes]:
        start, sent = time.monotonic(), 0
        while sent < self._size:
            piece = os.urandom(min(max(self._rate // 10, 1), self._size - sent))
            sent += len(piece)
            time.sleep(max(0.0, start + sent / self._rate - time.monotonic()))
            self._hash.update(piece)
            yield piece


def upload(registry: registry_client.Registry, size: int, rate: int) -> Upload:
    """Push one layer as clients do: open an upload, send everything in one PATCH, close it.

    Args:
        registry: The registry, with the login of a user who may push.
        size: Of the layer, in bytes.
        rate: In bytes per second.

    Raises:
        registry_client.RegistryError: The registry rejects uploads.
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
    registry: registry_client.Registry, method: str, path: str, body: Iterable[bytes] | bytes
) -> tuple[int, str]:
    """Send one request; return the status and the next location."""
    request = urllib.request.Request(  # noqa: S310 - checked by main
        urllib.parse.urljoin(registry.url, path),
        body,
        {"Authorization": registry.authorization or "", "Content-Type": "application/octet-stream"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=RESPONSE_SECONDS) as response:  # noqa: S310
        return response.status, response.headers["Location"]


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description="Push layers at the rate of a slow uplink, and report whether they arrive.",
        epilog="The exit status is 0 if all arrive. A garbage collection deletes the layers.",
    )
    parser.add_argument("url", help="such as https://registry.example.com")
    parser.add_argument("--username", required=True, help="a user who may push")
    parser.add_argument("--password-file", required=True, help="that user's password; - for stdin")
    parser.add_argument("--size", type=float, default=1024, metavar="MIB", help="default 1024")
    parser.add_argument("--rate", type=float, default=20, metavar="MBIT/S", help="default 20")
    parser.add_argument("--count", type=int, default=10, help="how many, one by one; default 10")
    args = parser.parse_args()
    if not args.url.startswith(("https://", "http://")):
        parser.error(f"{args.url}: expected a URL, such as https://registry.example.com")
    source = args.password_file
    password = (sys.stdin.read() if source == "-" else Path(source).read_text()).rstrip("\n")
    registry = registry_client.Registry(args.url, registry_client.basic(args.username, password))
    arrived = 0
    for number in range(1, args.count + 1):
        one = upload(registry, int(args.size * 2**20), int(args.rate * 10**6 / 8))
        arrived += one.arrived
        print(
            f"{number}/{args.count}: {'arrived' if one.arrived else 'LOST'} "
            f"after {one.seconds:.1f} s: {one.response}",
            flush=True,
        )
    print(f"{arrived} of {args.count} arrived")
    return 0 if arrived == args.count else 1


if __name__ == "__main__":
    sys.exit(main())
