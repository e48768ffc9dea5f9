"""The port of the maintenance: who is let in, and that nothing can be deleted there."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.soak.client import DOCKER, Client, Image, describe, digest_of, image, index
from tests.soak.servers import HOSTS, PASSWORD, PREVIOUS_PASSWORD, Servers
from tests.soak.strangers import cache, dump

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.fixture
def client(servers: Servers) -> Iterator[Client]:
    started = Client([f"{host}:{servers.registry_port}" for host in HOSTS], 1)
    yield started
    started.close()


def ask(
    servers: Servers, method: str, path: str, login: str = f"maintenance:{PASSWORD}", port: int = 0
) -> int:
    """Send a request to a pod, by default to the port of the maintenance."""
    address = (HOSTS[0], port or servers.maintenance_port)
    with closing(http.client.HTTPConnection(*address, timeout=60)) as connection:
        token = base64.b64encode(login.encode()).decode()
        connection.request(method, path, headers={"Authorization": f"Basic {token}"})
        return connection.getresponse().status


def images() -> list[Image]:
    """Return an image of each media type that the registry stores, and a cache of layers."""
    first = image("team/app", "v1", b'{"n": 1}', [b"layer 1"])
    config, layer = ({"digest": digest, "size": len(x)} for digest, x in first.blobs.items())
    manifest = dump(
        {"schemaVersion": 2, "mediaType": DOCKER},
        config={**config, "mediaType": "application/vnd.docker.container.image.v1+json"},
        layers=[{**layer, "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip"}],
    )
    docker = Image("team/app", "v2", first.blobs, manifest, media_type=DOCKER)
    entry = describe(DOCKER, docker.manifest)
    entry["platform"] = {"architecture": "amd64", "os": "linux"}
    manifest = dump({"schemaVersion": 2, "mediaType": DOCKER_LIST}, manifests=[entry])
    # Without a tag: by that, the registry would translate it for this client.
    docker_list = Image("team/app", "", {}, manifest, (docker,), DOCKER_LIST)
    layers = cache("team/app", "v4", b'{"layers": []}', [b"layer 4"])
    return [first, docker, docker_list, index("team/app", "v3", [first]), layers]


def test_no_live_image_can_be_deleted_on_the_port_of_the_maintenance(
    servers: Servers, client: Client
) -> None:
    """Whoever had its password could delete any image."""
    for pushed in images():
        client.push(pushed)
        # So that the one that remembers does.
        client.pull(pushed, client.addresses[0])
    for pushed in images():
        assert ask(servers, "DELETE", pushed.path_of_digest) == 403
        if pushed.tag:
            assert ask(servers, "DELETE", pushed.path) == 404
        for digest in pushed.blobs:
            assert ask(servers, "DELETE", f"/v2/{pushed.repository}/blobs/{digest}") == 404
            # This is what the maintenance asks: the pod remembers it, or does not.
            asked = f"/v2/{pushed.repository}/manifests/{digest}"
            assert ask(servers, "DELETE", asked) in {404, 500}
    with servers.objects() as objects:
        memories = [("team/app", digest) for x in images() for digest in x.blobs]
        servers.pods().forget(objects, memories)
    for pushed in images():
        for address in client.addresses:
            client.pull(pushed, address)


@pytest.mark.parametrize(
    "login",
    [
        "maintenance:wrong",
        f"admin:{PASSWORD}",
        f"nobody:{PASSWORD}",
        f"admin:{PREVIOUS_PASSWORD}",
    ],
)
def test_nobody_but_the_maintenance_is_let_in(servers: Servers, login: str) -> None:
    path = f"/v2/a/manifests/{digest_of(b'')}"
    assert ask(servers, "DELETE", path, login) == 401
    assert ask(servers, "DELETE", path) == 404


def test_nothing_is_forgotten_while_nobody_can_say_whether_it_is_a_manifest(
    servers: Servers, client: Client
) -> None:
    pushed = image("team/app", "v1", b"{}", [b"layer"])
    client.push(pushed)
    process = servers.running.pop(f"{HOSTS[0]} manifests")
    process.kill()
    process.wait()
    assert ask(servers, "DELETE", pushed.path_of_digest) >= 500
    servers.start_process(HOSTS[0], "manifests")
    client.pull(pushed)
