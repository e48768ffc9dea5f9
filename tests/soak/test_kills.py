"""Processes of a pod that are killed in uploads, or that can write nothing."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.soak.client import Client, Image, RefusedError, image, index
from tests.soak.conftest import LONG
from tests.soak.servers import HOSTS, PROCESSES, Servers

CLIENTS, LAYER = 6, 300_000

DOWN_SECONDS = 1
"""How long the kubelet takes at least to start a container again."""

KILLS, FEW = 20, 2
"""How often a process is killed in `make soak`, and in `make test`."""


class Pushes:
    """Clients that push all the while, and push again what was not acknowledged."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._stopping = threading.Event()
        self.acknowledged: list[Image] = []
        self.counts: Counter[str] = Counter()

    def work(self, number: int) -> None:
        chosen = random.Random(number)
        client = Client([self._address], number)
        count = 0
        pushed = None
        while pushed or not self._stopping.is_set():
            if not pushed:
                config = b'{"client": %d, "count": %d}' % (number, count)
                layers = [chosen.randbytes(LAYER) for _ in range(2)]
                # Of the two registries of a pod one takes images, the other indexes.
                child = image(f"team/c{number}", "", config, layers)
                pushed = index(f"team/c{number}", f"t{count}", [child])
            try:
                client.push(pushed)
            except (OSError, RefusedError) as error:
                self.counts["no response" if isinstance(error, OSError) else "refused"] += 1
                time.sleep(0.1)
                continue
            self.acknowledged.append(pushed)
            pushed, count = None, count + 1
        client.close()

    def stop(self) -> None:
        self._stopping.set()


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_that_is_killed_in_uploads_loses_nothing_acknowledged(
    servers: Servers, name: str, operations: int
) -> None:
    host, chosen = HOSTS[0], random.Random(1)
    kills = KILLS if operations >= LONG else FEW
    pushes = Pushes(f"{host}:{servers.registry_port}")
    with ThreadPoolExecutor(CLIENTS) as pool:
        done = [pool.submit(pushes.work, number) for number in range(CLIENTS)]
        try:
            for _ in range(kills):
                time.sleep(chosen.uniform(0.5, 1.5))
                process = servers.running[f"{host} {name}"]
                process.send_signal(signal.SIGKILL)
                process.wait()
                time.sleep(DOWN_SECONDS)
                servers.start_process(host, name)
        finally:
            pushes.stop()
    for each in done:
        each.result()
    print(f"{name}: {kills} kills, {len(pushes.acknowledged)} pushed, {dict(pushes.counts)}")
    # Pushes of indexes wait in the auth proxy until the process that takes them is back.
    assert pushes.counts or name == "manifests", "no kill was noticed: the test shows nothing"
    assert len(pushes.acknowledged) >= CLIENTS
    for each_host in HOSTS:
        reader = Client([f"{each_host}:{servers.registry_port}"], 1)
        for pushed in pushes.acknowledged:
            reader.pull(pushed)
        reader.close()


def test_a_full_disk_stops_neither_pushes_nor_pulls(servers: Servers) -> None:
    """Logs cannot be written, nor any other file."""
    host = HOSTS[0]
    servers.stop(host)
    servers.full = True
    servers.start_registry(host)
    client = Client([f"{host}:{servers.registry_port}"], 1)
    large = [random.Random(number).randbytes(30_000_000) for number in range(2)]
    for number, layers in enumerate([[b"small"], large]):
        pushed = image("team/app", f"v{number}", b'{"n": %d}' % number, layers)
        client.push(pushed)
        client.pull(pushed)
    # It is logged.
    with pytest.raises(RefusedError, match="404"):
        client.call("GET", "/v2/team/app/manifests/none", (200,))
    client.close()
    assert all(servers.running[f"{host} {name}"].poll() is None for name in PROCESSES)
