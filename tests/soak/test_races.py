"""Each request of a push is held while runs of the collection pass by, on the real registry."""

from __future__ import annotations

import threading
import time
from collections import defaultdict

from scripts.maintenance.keys import blob_key, link_key
from scripts.maintenance.plan import Times
from scripts.shared.objects import Objects
from tests.soak import collector
from tests.soak.client import Client, Image, RefusedError, image
from tests.soak.proxy import Proxy
from tests.soak.servers import HOSTS, Servers

TIMES = Times(keep=16, grace=2)

HELD_SECONDS = 6
"""Longer than the grace, and much shorter than copies are kept."""

FIRST_SECONDS = 16
"""When the first pushes begin. After 16 s images are deleted, and after 19 s their layers."""

PHASES = 8
"""Pushes begin in so many seconds, one after the other."""

REQUESTS = 16
"""More than a push of one image with two blobs sends to the storage once they are linked."""


def build(name: str) -> Image:
    return image(name, "latest", f'{{"name": "{name}"}}'.encode(), [f"layer {name}".encode()])


def write_deleted(objects: Objects, deleted: Image) -> None:
    """Write what is left of an image after its manifest was deleted."""
    objects.put(blob_key(deleted.digest), deleted.manifest)
    for digest, content in deleted.blobs.items():
        objects.put(blob_key(digest), content)
        objects.put(link_key(deleted.repository, "_layers", digest), digest.encode())


def remember(client: Client, deleted: Image) -> None:
    """Request an image's layers of every pod, which then remembers them."""
    for address in client.addresses:
        for digest in deleted.blobs:
            path = f"/v2/{deleted.repository}/blobs/{digest}"
            client.call("HEAD", path, (200,), address=address)
    client.close()


class Holder:
    """Holds one request of each push, by its number.

    Args:
        images: The images, and the number of the request to hold.
    """

    def __init__(self, images: dict[str, tuple[Image, int]]) -> None:
        self._names = {
            digest[7:]: name
            for name, (pushed, _) in images.items()
            for digest in [pushed.digest, *pushed.blobs]
        }
        self._images = images
        self._counts: dict[str, int] = defaultdict(int)
        self.active = False
        self.held = 0

    def __call__(self, method: str, path: str) -> int:  # noqa: ARG002 - any method is held
        name = self._name(path)
        if self.active and name:
            self._counts[name] += 1
            if self._counts[name] == self._images[name][1]:
                self.held += 1
                time.sleep(HELD_SECONDS)
        return 0

    def _name(self, path: str) -> str:
        parts = path.partition("?")[0].split("/")
        if "repositories" in parts:
            return parts[parts.index("repositories") + 1]
        return self._names.get(parts[-2], "")


def test_a_push_that_hangs_at_any_request_is_whole_from_the_next_run_on(servers: Servers) -> None:
    images = {
        f"p{phase}n{number}": (build(f"p{phase}n{number}"), number)
        for phase in range(PHASES)
        for number in range(1, REQUESTS + 1)
    }
    holder = Holder(images)
    addresses = [f"{host}:{servers.registry_port}" for host in HOSTS]
    acknowledged: list[Image] = []
    with Proxy(servers.s3_port) as proxy:
        proxy.hook = holder
        for host in HOSTS:
            servers.stop(host)
            servers.start_registry(host, proxy.endpoint)
        with servers.objects() as objects:
            objects.each(lambda item: write_deleted(objects, item[0]), images.values())
            client = Client(addresses, 1)
            objects.each(lambda item: remember(client, item[0]), images.values())
        holder.active = True

        def push(pushed: Image) -> None:
            client = Client(addresses, 1)
            try:
                client.push(pushed)
                acknowledged.append(pushed)
            except RefusedError:
                pass  # Then nothing is promised.
            finally:
                client.close()

        threads = []
        with servers.objects() as objects:
            started = time.monotonic()
            for phase in range(PHASES):
                while time.monotonic() - started < FIRST_SECONDS + phase:
                    collector.run(objects, servers.pods(), TIMES)
                    time.sleep(0.2)
                for number in range(1, REQUESTS + 1):
                    thread = threading.Thread(target=push, args=(images[f"p{phase}n{number}"][0],))
                    thread.start()
                    threads.append(thread)
            while any(thread.is_alive() for thread in threads):
                collector.run(objects, servers.pods(), TIMES)
                time.sleep(0.5)
            report = collector.run(objects, servers.pods(), TIMES)
    assert not report["problems"]
    assert holder.held > PHASES * REQUESTS / 2
    assert len(acknowledged) > PHASES * REQUESTS / 2
    broken = []
    for host in HOSTS:
        servers.stop(host)
        servers.start_registry(host)
    client = Client(addresses, 2)
    for pushed in acknowledged:
        try:
            client.pull(pushed)
        except RefusedError as error:
            broken.append(f"{pushed.repository}: {error}")
    client.close()
    assert not broken
