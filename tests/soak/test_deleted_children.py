"""Clients delete images of indexes, and push the same again, on two pods."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.soak.client import INDEX, Client, Image, RefusedError, describe, digest_of, image, index
from tests.soak.servers import HOSTS, Servers

DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"

IMAGES = 100
RESTART_EVERY = 10


@dataclass
class Deletes:
    """Pushes of indexes, deletes of all of them, and pushes of the same.

    Attributes:
        servers: The servers.
        refused: What could not be pushed again.
        broken: What was pushed again and acknowledged, and cannot be pulled from some pod.
    """

    servers: Servers
    refused: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.addresses = [f"{host}:{self.servers.registry_port}" for host in HOSTS]
        self.client = Client(self.addresses, 1)

    def run(self) -> None:
        """Push, pull, delete and push again, each request to any pod; now and then a pod rolls."""
        for number in range(IMAGES):
            pushed = build(number)
            base = f"/v2/{pushed.repository}/manifests"
            self.client.push(pushed)
            self.client.pull(pushed)
            for deleted in (pushed, pushed.children[number % 2]):
                self.client.call("DELETE", f"{base}/{deleted.digest}", (202,))
            if number % RESTART_EVERY == 0:
                host = HOSTS[number // RESTART_EVERY % 2]
                self.client.close()
                self.servers.stop(host)
                self.servers.start_registry(host)
            try:
                self.client.push(pushed)
            except RefusedError as error:
                self.refused.append(str(error))
                continue
            try:
                for address in self.addresses:
                    self.client.pull(pushed, address)
            except RefusedError as error:
                self.broken.append(str(error))
        self.client.close()


def build(number: int) -> Image:
    """Return an index of two images, unlike all others."""
    name = f"team/app{number % 7}"
    children = [
        image(name, "", json.dumps([number, child]).encode(), [b"layer %d %d" % (number, child)])
        for child in range(2)
    ]
    return index(name, f"v{number}", children)


@pytest.fixture
def one_process(tools: Path, tmp_path: Path) -> Iterator[Servers]:
    """Pods with one registry each, which remembers and takes all requests."""
    started = Servers(tools, tmp_path, one_process=True)
    try:
        started.start()
        yield started
    finally:
        started.stop_all()


def test_an_index_whose_children_were_deleted_is_whole_when_it_is_pushed_again(
    servers: Servers,
) -> None:
    deletes = Deletes(servers)
    deletes.run()
    assert not deletes.refused
    assert not deletes.broken


def test_where_one_process_remembers_and_takes_all_the_same_index_is_broken(
    one_process: Servers,
) -> None:
    """Or the test above would show nothing."""
    deletes = Deletes(one_process)
    deletes.run()
    print(f"{len(deletes.broken)} of {IMAGES} broken, {len(deletes.refused)} refused")
    assert deletes.broken


def test_an_index_of_a_deleted_child_is_refused_by_every_pod(servers: Servers) -> None:
    """Some clients refer to images without asking for them: `docker buildx imagetools create`."""
    deletes = Deletes(servers)
    client, pushed = deletes.client, build(0)
    base = f"/v2/{pushed.repository}/manifests"
    client.push(pushed)
    for address in deletes.addresses:
        # What would make a pod remember it.
        client.pull(pushed, address)
    client.call("DELETE", f"{base}/{pushed.children[0].digest}", (202,))
    for address in deletes.addresses:
        with pytest.raises(RefusedError, match="MANIFEST_BLOB_UNKNOWN"):
            client.call("PUT", f"{base}/new", (201,), pushed.manifest, INDEX, address)
    client.close()


@pytest.mark.parametrize("media_type", [INDEX, DOCKER_INDEX])
def test_an_index_of_layers_is_taken_by_every_pod(servers: Servers, media_type: str) -> None:
    """So BuildKit pushed its cache before 0.21, and does with `image-manifest=false`."""
    deletes = Deletes(servers)
    client = deletes.client
    config = b'{"layers": []}'
    cached = image("team/cache", "layers", config, [b"first", b"second"])
    client.push(cached)
    entries = [
        describe("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)
        for digest, layer in cached.blobs.items()
        if digest != digest_of(config)
    ]
    entries.append(describe("application/vnd.buildkit.cacheconfig.v0", config))
    manifest = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
    body = json.dumps(manifest).encode()
    for address in deletes.addresses:
        path = "/v2/team/cache/manifests/buildcache"
        client.call("PUT", path, (201,), body, media_type, address)
        for reader in deletes.addresses:
            # A tag of Docker's kind of index would be translated for clients that do not know it.
            stored = f"/v2/team/cache/manifests/{digest_of(body)}"
            assert client.call("GET", stored, (200,), address=reader).body == body
    client.close()
