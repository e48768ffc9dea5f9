"""Connections of strangers, as many as an attacker has, beside pushes.

What TLS and Traefik do with them: tests/sandbox/test_chaos.py.
"""

from __future__ import annotations

import random
import statistics
import time

from components.registry.pod import PROXY_MEMORY_MIB
from tests.soak.client import Client, image
from tests.soak.conftest import LONG
from tests.soak.crowd import crowd, report
from tests.soak.servers import HOSTS, Servers, most_memory

CONNECTIONS, FEW = 10_000, 500
"""How many there are in `make soak`, and in `make test`."""

SECONDS, SHORT = 120, 10

RATE = 1000
"""How many are opened a second. The auth proxy closes them after 2 to 10 s."""

PUSHES = 20


def seconds_of_pushes(address: str, name: str) -> list[float]:
    client, chosen = Client([address], 1), random.Random(name)
    seconds = []
    for number in range(PUSHES):
        layers = [chosen.randbytes(100_000) for _ in range(5)]
        pushed = image("team/app", f"{name}-{number}", f'{{"n": {number}}}'.encode(), layers)
        start = time.monotonic()
        client.push(pushed)
        seconds.append(time.monotonic() - start)
        client.pull(pushed)
    client.close()
    return seconds


def test_a_crowd_of_strangers_neither_ends_the_auth_proxy_nor_stops_pushes(
    servers: Servers, operations: int
) -> None:
    many = operations >= LONG
    count, seconds = (CONNECTIONS, SECONDS) if many else (FEW, SHORT)
    address, proxy = f"{HOSTS[0]}:{servers.registry_port}", servers.running[f"{HOSTS[0]} proxy"]
    alone = seconds_of_pushes(address, "alone")
    with crowd(HOSTS[0], servers.registry_port, count, seconds, rate=RATE) as running:
        beside = seconds_of_pushes(address, "beside")
        reported = report(running)
    memory = most_memory(proxy.pid)
    print(
        f"{reported}; a push of 5 layers takes {statistics.median(alone):.2f} s, and "
        f"{statistics.median(beside):.2f} s beside them (up to {max(beside):.2f}); "
        f"{memory / 2**20:.0f} of {PROXY_MEMORY_MIB} MiB"
    )
    assert proxy.poll() is None
    assert memory < PROXY_MEMORY_MIB * 2**20
    least, usual, _ = reported["held"]
    assert least > count / 4, "it is no crowd"
    assert usual > count / 2
