"""The same request over and over, without pause, over many connections; from a process of its own.

Prints how often a second it got which status.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.soak.conftest import ROOT


async def _repeat(host: str, port: int, request: bytes, counts: Counter[str]) -> None:
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                while True:
                    writer.write(request)
                    counts[await _status(reader)] += 1
            finally:
                writer.close()


async def _status(reader: asyncio.StreamReader) -> str:
    """Read a whole response."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if "transfer-encoding: chunked" in head:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        await reader.readexactly(int(head.partition("content-length:")[2].split("\r\n")[0]))
    return head.split(" ", 2)[1]


async def _flood(args: argparse.Namespace) -> Counter[str]:
    head = f"GET {args.path} HTTP/1.1\r\nHost: {args.host}\r\n{args.header}\r\n\r\n"
    counts: Counter[str] = Counter()
    request = head.encode()
    tasks = [
        asyncio.create_task(_repeat(args.host, args.port, request, counts))
        for _ in range(args.connections)
    ]
    await asyncio.sleep(1)
    print("begun", flush=True)
    counts.clear()
    start = time.monotonic()
    # Until it is told to end.
    await asyncio.to_thread(sys.stdin.read)
    seconds = time.monotonic() - start
    for task in tasks:
        task.cancel()
    return Counter({status: round(count / seconds) for status, count in counts.items()})


@contextmanager
def flood(host: str, port: int, path: str, header: str, connections: int) -> Iterator[Counter[str]]:
    """Send requests meanwhile; at the end, what is yielded has how many there were a second."""
    command = [sys.executable, "-m", "tests.soak.flood", host, str(port), path, header]
    counts: Counter[str] = Counter()
    with subprocess.Popen(
        [*command, str(connections)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "begun\n"
            yield counts
            told, _ = process.communicate()
            counts.update(json.loads(told))
        finally:
            process.kill()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("header")
    parser.add_argument("connections", type=int)
    print(json.dumps(asyncio.run(_flood(parser.parse_args()))))


if __name__ == "__main__":
    main()
