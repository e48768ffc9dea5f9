"""Connections of strangers that never come to an end, as many as asked, from a process of its own.

What a server closes is opened again, at a limited rate: the processor is for who is attacked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.soak.conftest import ROOT

PAUSE_SECONDS = 2
"""How long a slow one waits before the next byte."""

CONNECT_SECONDS = 30

_HEAD = "PUT /v2/a/manifests/1 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic YTpi\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[str], Coroutine[Any, Any, Streams]]
Say = Callable[[Streams], Coroutine[Any, Any, None]]


@dataclass
class Crowd:
    """The connections.

    Attributes:
        host: The server's address.
        port: Its port.
        sources: The addresses to connect from.
        name: The host name to ask for.
        tls: Whether the server speaks it.
        rate: How many are opened a second at most, the first ones included.
        counts: How many were opened and closed, by kind.
        held: How many there are.
    """

    host: str
    port: int
    sources: Sequence[str]
    name: str
    tls: bool
    rate: float
    counts: Counter[str] = field(default_factory=Counter)
    held: int = 0

    async def run(self, count: int, seconds: float) -> dict[str, Any]:
        """Hold so many connections; return how many there were after the first of each."""
        self._turns: asyncio.Queue[None] = asyncio.Queue(1)
        kinds = self._kinds()
        tasks = [asyncio.create_task(self._give_turns())]
        for number in range(count):
            name, connect, say = kinds[number % len(kinds)]
            source = self.sources[number // len(kinds) % len(self.sources)]
            tasks.append(asyncio.create_task(self._repeat(name, connect, say, source)))
        while sum(self.counts.values()) < count:
            await asyncio.sleep(0.1)
        print("all were opened", flush=True)
        samples = []
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(1)
            samples.append(self.held)
        for task in tasks:
            task.cancel()
        return {
            "held": [min(samples), round(statistics.median(samples)), max(samples)],
            **self.counts,
        }

    def _kinds(self) -> list[tuple[str, Connect, Say]]:
        kinds: list[tuple[str, Connect, Say]] = [
            ("idle", self._connect, _nothing),
            ("slow header", self._connect, self._slow_header),
            ("slow body", self._connect, self._slow_body),
        ]
        if self.tls:
            kinds += [
                ("half-open", self._connect_tcp, _nothing),
                ("stuck in TLS", self._connect_tcp, self._half_a_hello),
            ]
        return kinds

    async def _give_turns(self) -> None:
        start, given = time.monotonic(), 0
        while True:
            while given < (time.monotonic() - start) * self.rate:
                await self._turns.put(None)
                given += 1
            await asyncio.sleep(0.005)

    async def _repeat(self, name: str, connect: Connect, say: Say, source: str) -> None:
        while True:
            await self._turns.get()
            self.counts[name] += 1
            try:
                streams = await asyncio.wait_for(connect(source), CONNECT_SECONDS)
            except (OSError, TimeoutError):
                self.counts[f"{name}: refused"] += 1
                continue
            self.held += 1
            saying = asyncio.create_task(say(streams))
            try:
                # What a server has to say does not matter.
                while await streams[0].read(4096):
                    pass
            except OSError:
                pass
            finally:
                self.held -= 1
                saying.cancel()
                streams[1].transport.abort()

    async def _connect_tcp(self, source: str) -> Streams:
        return await asyncio.open_connection(self.host, self.port, local_addr=(source, 0))

    async def _connect(self, source: str) -> Streams:
        if not self.tls:
            return await self._connect_tcp(source)
        return await asyncio.open_connection(
            self.host,
            self.port,
            local_addr=(source, 0),
            ssl=_unverified(),
            server_hostname=self.name,
            ssl_handshake_timeout=CONNECT_SECONDS,
        )

    async def _slow_header(self, streams: Streams) -> None:
        await _slowly(streams, f"GET /v2/ HTTP/1.1\r\nHost: {self.name}\r\nX-Slow: ".encode())

    async def _slow_body(self, streams: Streams) -> None:
        head = _HEAD.format(host=self.name) + "Content-Length: 200000\r\n\r\n"
        await _slowly(streams, head.encode())

    async def _half_a_hello(self, streams: Streams) -> None:
        out = ssl.MemoryBIO()
        hello = _unverified().wrap_bio(ssl.MemoryBIO(), out, server_hostname=self.name)
        with suppress(ssl.SSLWantReadError):
            hello.do_handshake()
        data = out.read()
        streams[1].write(data[: len(data) // 2])
        await streams[1].drain()


async def _nothing(_: Streams) -> None:
    pass


async def _slowly(streams: Streams, data: bytes) -> None:
    try:
        while True:
            streams[1].write(data)
            await streams[1].drain()
            await asyncio.sleep(PAUSE_SECONDS)
            data = b"x"
    except OSError:
        pass


@cache  # Each reads all certificates of this machine.
def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextmanager
def crowd(
    host: str,
    port: int,
    count: int,
    seconds: float,
    *,
    rate: float,
    sources: Sequence[str] = ("127.0.0.1",),
    tls: str = "",
) -> Iterator[subprocess.Popen[str]]:
    """Run the crowd, from the moment when all were opened; its last line is its report.

    Args:
        host: The server's address.
        port: Its port.
        count: How many connections.
        seconds: For how long.
        rate: How many are opened a second at most.
        sources: The addresses to connect from.
        tls: The host name to ask for by TLS; without one, none is spoken.
    """
    command = [sys.executable, "-m", "tests.soak.crowd", host, str(port), str(count), str(seconds)]
    command += [f"--tls={tls}", f"--rate={rate}", *(f"--source={source}" for source in sources)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "all were opened\n"
            yield process
        finally:
            process.kill()


def report(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait until it ends, and return what it says of itself."""
    assert process.stdout
    values: dict[str, Any] = json.loads(process.stdout.read())
    return values


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--tls", default="")
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--source", action="append", required=True)
    args = parser.parse_args()
    tls, name = bool(args.tls), args.tls or args.host
    connections = Crowd(args.host, args.port, args.source, name, tls, args.rate)
    print(json.dumps(asyncio.run(connections.run(args.count, args.seconds))))


if __name__ == "__main__":
    main()
