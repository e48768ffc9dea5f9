"""A pod's two registries: what they take, what they say, and whether both work."""

from __future__ import annotations

import json
import signal
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.registry.side_servers import READY_PATH
from scripts.shared.registry_client import Registry, basic
from settings.schema import WebhookSettings
from tests.soak.client import (
    INDEX,
    MANIFEST,
    Client,
    RefusedError,
    describe,
    digest_of,
    image,
    index,
)
from tests.soak.servers import HOSTS, PREVIOUS_PASSWORD, Servers

DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
QUIET_SECONDS = 1
"""How long after the last expected event another one would have come."""


@pytest.fixture
def client(servers: Servers) -> Iterator[Client]:
    started = Client([f"{host}:{servers.registry_port}" for host in HOSTS], 1)
    yield started
    started.close()


def test_an_index_of_a_deleted_child_is_refused_by_every_pod(client: Client) -> None:
    """Some clients refer to images without asking for them: `docker buildx imagetools create`."""
    first, second = (image("team/app", "", b'{"n": %d}' % n, [b"layer"]) for n in (1, 2))
    pushed = index("team/app", "v1", [first, second])
    client.push(pushed)
    for address in client.addresses:
        # What would make a pod remember it.
        client.pull(pushed, address)
    client.call("DELETE", f"/v2/team/app/manifests/{first.digest}", (202,))
    for address in client.addresses:
        with pytest.raises(RefusedError, match="MANIFEST_BLOB_UNKNOWN"):
            path = "/v2/team/app/manifests/new"
            client.call("PUT", path, (201,), pushed.manifest, INDEX, address)


def test_a_deleted_image_is_gone_from_every_pod_at_once(client: Client) -> None:
    pushed = image("team/app", "v1", b"{}", [b"secret"])
    client.push(pushed)
    for address in client.addresses:
        client.pull(pushed, address)
    path = f"/v2/team/app/manifests/{pushed.digest}"
    client.call("DELETE", path, (202,))
    for address in client.addresses:
        for method in ("GET", "HEAD", "DELETE"):
            client.call(method, path, (404,), address=address)


@pytest.mark.parametrize("media_type", [INDEX, DOCKER_INDEX])
def test_an_index_of_layers_is_taken_by_every_pod(client: Client, media_type: str) -> None:
    """So BuildKit pushed its cache before 0.21, and does with `image-manifest=false`."""
    config = b'{"layers": []}'
    layers = [b"first", b"second"]
    client.push(image("team/cache", "layers", config, layers))
    layer = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    entries = [describe(layer, content) for content in layers]
    entries.append(describe("application/vnd.buildkit.cacheconfig.v0", config))
    manifest = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
    body = json.dumps(manifest).encode()
    for address in client.addresses:
        path = "/v2/team/cache/manifests/buildcache"
        client.call("PUT", path, (201,), body, media_type, address)
        for reader in client.addresses:
            # A tag of Docker's kind of index would be translated for who does not know it.
            stored = f"/v2/team/cache/manifests/{digest_of(body)}"
            assert client.call("GET", stored, (200,), address=reader).body == body


@pytest.mark.parametrize("process", ["registry", "manifests"])
def test_a_pod_is_not_ready_while_one_of_its_registries_hangs_or_is_gone(
    servers: Servers, process: str
) -> None:
    host = HOSTS[0]
    assert ready(servers, host)
    running = servers.running[f"{host} {process}"]
    running.send_signal(signal.SIGSTOP)
    assert not ready(servers, host)
    running.send_signal(signal.SIGCONT)
    assert ready(servers, host)
    running.kill()
    running.wait()
    assert not ready(servers, host)
    assert ready(servers, HOSTS[1])


def ready(servers: Servers, host: str) -> bool:
    """Ask as the kubelet does."""
    try:
        url = f"http://{host}:{servers.probe_port}{READY_PATH}"
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (TimeoutError, urllib.error.HTTPError):
        return False


class Receiver(ThreadingHTTPServer):
    """Takes events."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: list[tuple[str, str, str]] = []
        """Action, digest and tag."""


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for event in json.loads(body)["events"]:
            target: dict[str, Any] = event["target"]
            self.server.events.append(
                (event["action"], target.get("digest", ""), target.get("tag", ""))
            )
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_each_push_and_delete_sends_one_event(tools: Path, tmp_path: Path) -> None:
    with Receiver() as receiver:
        threading.Thread(target=receiver.serve_forever, args=(0.05,), daemon=True).start()
        webhook = WebhookSettings.model_validate({"url": "https://ci.example.com/"})
        local = webhook.model_copy(update={"url": f"http://127.0.0.1:{receiver.server_port}/"})
        servers = Servers(tools, tmp_path, webhooks={"ci": local})
        try:
            servers.start()
            client = Client([f"{host}:{servers.registry_port}" for host in HOSTS], 1)
            child = image("team/app", "", b"{}", [b"layer"])
            pushed = index("team/app", "v1", [child])
            client.push(pushed)
            for deleted in (pushed, child):
                client.call("DELETE", f"/v2/team/app/manifests/{deleted.digest}", (202,))
            client.close()
            expected = Counter(
                {
                    ("push", child.digest, ""): 1,
                    ("push", pushed.digest, "v1"): 1,
                    ("delete", pushed.digest, ""): 1,
                    ("delete", "", "v1"): 1,
                    ("delete", child.digest, ""): 1,
                }
            )
            deadline = time.monotonic() + 30
            while len(receiver.events) < len(expected) and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(QUIET_SECONDS)
        finally:
            servers.stop_all()
            receiver.shutdown()
    assert Counter(receiver.events) == expected


def test_whoever_logs_in_by_a_previous_password_pushes_the_same_manifests(servers: Servers) -> None:
    """The auth proxy looks into some, and after a wrong password works on a copy of the request."""
    registry = Registry(
        f"http://{HOSTS[0]}:{servers.registry_port}", basic("admin", PREVIOUS_PASSWORD)
    )
    for media_type in (
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.oci.image.manifest.v1+json",
    ):
        entry = {"mediaType": media_type, "digest": f"sha256:{0:064}", "size": 1}
        entries = [entry] if "rootfs" in media_type else []
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        text = json.dumps({**index, "annotations": {"a": "{http.request.host}"}}).encode()
        registry.call("PUT", "v2/a/manifests/index", [201], text, {"Content-Type": INDEX})
        response = registry.call("GET", "v2/a/manifests/index", [200], headers={"Accept": INDEX})
        assert response.body == text
    started = registry.call("POST", "v2/a/blobs/uploads/", [202])
    target = f"{started.headers['Location'][1:]}&digest={digest_of(b'{}')}"
    registry.call("PUT", target, [201], b"{}")
    manifest = image("a", "1", b"{}", []).manifest
    registry.call("PUT", "v2/a/manifests/1", [201], manifest, {"Content-Type": MANIFEST})
