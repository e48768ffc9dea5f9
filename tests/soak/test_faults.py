"""Runs of the collection that are killed or fail at every request, one after the other."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from scripts.maintenance.plan import Times
from scripts.maintenance.references import References
from scripts.maintenance.walk import Walk
from scripts.shared.objects import Objects
from scripts.shared.s3 import Bucket
from tests.soak import collector
from tests.soak.client import Client, Image, image
from tests.soak.conftest import LONG, ROOT
from tests.soak.proxy import Proxy
from tests.soak.servers import BUCKET, HOSTS, REGION, Servers

TIMES = Times(keep=1.5, grace=1)
WRITES = {"PUT", "DELETE", "POST"}
REQUESTS = 60
"""More than any run sends that write: with so little in the bucket, they write 40 at most."""


class Registry:
    """A registry with some images that stay, and some that come and go."""

    def __init__(self, servers: Servers) -> None:
        self.client = Client([f"{host}:{servers.registry_port}" for host in HOSTS], 1)
        self._random = random.Random(1)
        self._layers = [self._random.randbytes(1000) for _ in range(6)]
        self.stays = [self.build("stays", number) for number in range(3)]
        for pushed in self.stays:
            self.client.push(pushed)

    def build(self, repository: str, number: int) -> Image:
        config = b'{"number": %d}' % number
        return image(repository, f"t{number}", config, self._random.sample(self._layers, 2))

    def change(self, number: int) -> None:
        """Push an image and delete it, and overwrite another."""
        first, second = self.build("goes", number), self.build("overwritten", number)
        self.client.push(first)
        path = f"/v2/{first.repository}/manifests/{first.digest}"
        self.client.call("DELETE", path, (202,))
        self.client.push(Image("overwritten", "latest", second.blobs, second.manifest))

    def check(self) -> None:
        for pushed in self.stays:
            for address in self.client.addresses:
                self.client.pull(pushed, address)


def kill(servers: Servers, proxy: Proxy, request: int) -> None:
    """Kill a run, or one of the next ones, before it sends a request that writes."""
    command = [sys.executable, "-m", "tests.soak.collector", proxy.endpoint]
    command += [str(servers.folder / "credentials"), str(servers.maintenance_port)]
    command += [str(seconds) for seconds in TIMES]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        before(proxy, request, lambda: then(process.kill, 503))
        assert process.wait() == -signal.SIGKILL


def fail(servers: Servers, proxy: Proxy, request: int) -> None:
    """Collect while the server is unavailable from some request on."""
    before(proxy, request, lambda: 503)
    collect(servers, proxy)


def hang(servers: Servers, proxy: Proxy, request: int) -> None:
    """Collect while requests hang from some one on, and are carried out when nobody waits."""
    before(proxy, request, lambda: then(lambda: time.sleep(0.5), 0))
    collect(servers, proxy)


def then(act: Callable[[], None], status: int) -> int:
    act()
    return status


def before(proxy: Proxy, request: int, act: Callable[[], int]) -> None:
    """Do something before a request that writes, and before all that follow."""
    count = 0

    def hook(method: str, _: str) -> int:
        nonlocal count
        count += method in WRITES
        return act() if count > request else 0

    proxy.hook = hook


def collect(servers: Servers, proxy: Proxy) -> None:
    bucket = Bucket(proxy.endpoint, REGION, BUCKET, True, servers.key)
    with Objects(bucket, threads=1) as objects:
        problems = collector.run(objects, servers.pods(), TIMES)["problems"]
        assert all("503" in problem or "timed out" in problem for problem in problems)


@pytest.mark.parametrize("fault", [kill, fail, hang])
def test_a_fault_at_any_request_breaks_nothing_and_is_made_up_for(
    servers: Servers,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[Servers, Proxy, int], None],
    operations: int,
) -> None:
    monkeypatch.setattr("scripts.shared.objects.RETRY_SECONDS", (0.1,))
    monkeypatch.setattr("scripts.shared.objects.REQUEST_SECONDS", 0.3)
    registry = Registry(servers)
    with Proxy(servers.s3_port) as proxy:
        for request in range(0, REQUESTS, 1 if operations >= LONG else 30):
            registry.change(request)
            fault(servers, proxy, request)
            registry.check()
    monkeypatch.undo()
    with servers.objects() as objects:
        for _ in range(6):
            time.sleep(1.5)
            report = collector.run(objects, servers.pods(), TIMES)
            assert not report["problems"]
        registry.check()
        registry.client.close()
        walk = Walk(objects, References(objects))
    manifests = [x.digest for x in registry.stays]
    left = {digest for x in registry.stays for digest in [x.digest, *x.blobs]}
    latest = walk.repositories["overwritten"].tags["latest"].digest
    left |= {latest, *walk.manifests[latest].layers}
    assert walk.blobs.keys() == left, "all garbage is gone in the end"
    assert walk.repositories["stays"].revisions.keys() == set(manifests)
