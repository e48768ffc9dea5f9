"""Floods of wrong logins and of scrapes, beside logins and pushes that are right."""

from __future__ import annotations

import base64
import http.client
import random
import statistics
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from components.network import PROXY_METRICS_PATH
from components.registry.pod import PROXY_MEMORY_MIB
from tests.soak.client import LOGIN, Client, image
from tests.soak.flood import flood
from tests.soak.servers import HOSTS, Servers, most_memory

CONNECTIONS = {"wrong logins": 200, "scrapes": 100}

LOGINS, PUSHES = 50, 4


def seconds_of(work: Callable[[], None], times: int) -> list[float]:
    seconds = []
    for _ in range(times):
        start = time.monotonic()
        work()
        seconds.append(time.monotonic() - start)
    return seconds


@pytest.mark.parametrize("what", CONNECTIONS)
def test_no_flood_shuts_out_who_may_come_in(servers: Servers, what: str) -> None:
    host, chosen = HOSTS[0], random.Random(1)
    client = Client([f"{host}:{servers.registry_port}"], 1)

    def log_in() -> None:
        address = (host, servers.registry_port)
        with closing(http.client.HTTPConnection(*address, timeout=60)) as connection:
            connection.request("GET", "/v2/", headers={"Authorization": LOGIN})
            assert connection.getresponse().status == 200

    def push() -> None:
        layers = [chosen.randbytes(100_000) for _ in range(5)]
        client.push(image("team/app", "latest", chosen.randbytes(20).hex().encode(), layers))

    def measure() -> str:
        logins, pushes = seconds_of(log_in, LOGINS), seconds_of(push, PUSHES)
        return (
            f"a login {statistics.median(logins) * 1000:.0f} ms (up to "
            f"{max(logins) * 1000:.0f}), a push {statistics.median(pushes):.2f} s "
            f"(up to {max(pushes):.2f})"
        )

    wrong = base64.b64encode(b"admin:wrong").decode()
    if what == "scrapes":
        request = (servers.metrics_port, PROXY_METRICS_PATH, "Accept: */*")
    else:
        request = (servers.registry_port, "/v2/", f"Authorization: Basic {wrong}")
    alone = measure()
    with flood(host, *request, CONNECTIONS[what]) as counts:
        beside = measure()
    client.close()
    proxy = servers.running[f"{host} proxy"]
    memory = most_memory(proxy.pid)
    print(
        f"{what}, {dict(counts)} a second: {alone}; beside them {beside}; {memory / 2**20:.0f} MiB"
    )
    assert counts.keys() == ({"200"} if what == "scrapes" else {"401"})
    assert proxy.poll() is None
    assert memory < PROXY_MEMORY_MIB * 2**20
