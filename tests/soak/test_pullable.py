"""What the registry takes, and which of it the doctor calls broken: the real one decides."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from scripts.client.pullable import lost_images
from scripts.maintenance.keys import blob_key, link_key, tag_key
from scripts.shared.registry_client import MANIFESTS, Registry, basic
from tests.soak.servers import HOSTS, PASSWORD, Servers

DOCKER, DOCKER_LIST, IMAGE, INDEX = MANIFESTS
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ELSEWHERE = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
NOBODY = {"os": "unknown", "architecture": "unknown"}


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Repository:
    """A repository that images are pushed to."""

    def __init__(self, registry: Registry, name: str) -> None:
        self.registry, self.name, self.path = registry, name, f"v2/{name}"

    def blob(self, content: bytes, kind: str = LAYER) -> dict[str, Any]:
        """Push a blob, and return its descriptor."""
        start = self.registry.call("POST", f"{self.path}/blobs/uploads/", [202])
        url = f"{start.headers['location']}&digest={digest_of(content)}"
        self.registry.call("PUT", url, [201], content)
        return {"mediaType": kind, "digest": digest_of(content), "size": len(content)}

    def push(
        self, tag: str, kind: str, manifest: dict[str, Any], more: bytes = b""
    ) -> dict[str, Any]:
        """Push a manifest, without a tag if it is empty, and return its descriptor."""
        text = json.dumps({"schemaVersion": 2, "mediaType": kind, **manifest}).encode()
        content = text[:-1] + more + b"}"
        path = f"{self.path}/manifests/{tag or digest_of(content)}"
        self.registry.call("PUT", path, [201], content, {"Content-Type": kind})
        return {"mediaType": kind, "digest": digest_of(content), "size": len(content)}

    def image(self, tag: str, content: bytes, kind: str = IMAGE, **fields: Any) -> dict[str, Any]:
        """Push an image of one layer."""
        config = self.blob(b"{}", "application/vnd.oci.image.config.v1+json")
        manifest = {"config": config, "layers": [self.blob(content)], **fields}
        return self.push(tag, kind, manifest)

    def delete(self, descriptor: dict[str, Any]) -> None:
        self.registry.call("DELETE", f"{self.path}/manifests/{descriptor['digest']}", [202])


@pytest.fixture
def registry(servers: Servers) -> Registry:
    """One pod, which remembers nothing of another one's deletes."""
    servers.stop(HOSTS[1])
    return Registry(f"http://{HOSTS[0]}:{servers.registry_port}", basic("admin", PASSWORD))


def broken(registry: Registry) -> list[str]:
    return [" ".join(x) for x in lost_images(registry)]


def test_nothing_that_can_be_pulled_is_called_broken(registry: Registry) -> None:
    """Each of these was once called broken, or ended the doctor."""
    app = Repository(registry, "team/app")
    child, attestation = app.image("", b"one"), app.image("", b"two")
    app.push("index", INDEX, {"manifests": [child, {**attestation, "platform": NOBODY}]})
    app.push("list", DOCKER_LIST, {"manifests": [app.image("", b"docker", DOCKER)]})
    app.push("empty", INDEX, {"manifests": []})
    app.push("null", INDEX, {"manifests": None})
    config = app.blob(b"{}", "application/vnd.buildkit.cacheconfig.v0")
    app.push("cache", INDEX, {"manifests": [app.blob(b"cached"), config]})
    app.image("without-layers", b"", layers=None)
    app.image("nothing", b"")
    far = {
        "mediaType": ELSEWHERE,
        "digest": digest_of(b"far"),
        "size": 3,
        "urls": ["https://example.com/far"],
    }
    app.image("elsewhere", b"", layers=[far])
    for tag, more in (("bytes", b'"\xff": 1'), ("digits", b'"a": ' + b"9" * 5000)):
        app.push(tag, IMAGE, {"config": config, "layers": []}, b", " + more)
    app.push("case", IMAGE, {"Config": config, "LAYERS": [app.blob(b"case")]})
    Repository(registry, "team/without-tags").image("", b"untagged")
    assert broken(registry) == []
    app.delete(attestation)
    assert broken(registry) == [], "nobody's platform is nobody's loss"


def test_what_cannot_be_pulled_is_named_and_the_rest_is_looked_at(
    registry: Registry, servers: Servers
) -> None:
    first, last = Repository(registry, "a"), Repository(registry, "z")
    first.push("deep", IMAGE, {"config": first.blob(b"{}"), "layers": []},
        b', "a": ' + b"[" * 9990 + b"]" * 9990)  # fmt: skip
    child = last.image("", b"one")
    last.push("index", INDEX, {"manifests": [{**child, "platform": {"os": "windows"}}]})
    last.image("whole", b"two")
    last.delete(child)
    schema1 = json.dumps({"schemaVersion": 1, "fsLayers": [], "history": []}).encode()
    digest, objects = digest_of(schema1), servers.objects()
    objects.put(blob_key(digest), schema1)
    objects.put(link_key("z", "_manifests/revisions", digest), digest.encode())
    objects.put(tag_key("z", "of-an-old-registry"), digest.encode())
    found = dict(lost_images(registry))
    assert list(found) == ["a:deep", "z:index", "z:of-an-old-registry"]
    assert "not understood" in found["a:deep"], "clients are written in Go, whose limit is 10,000"
    assert f"manifests/{child['digest']}: expected 200, got 404" in found["z:index"]
    assert "unrecognized manifest schema version 1" in found["z:of-an-old-registry"]
