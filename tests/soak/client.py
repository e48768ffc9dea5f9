"""A registry's client, which keeps its connections and asks before it sends."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.soak.servers import PASSWORD

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"

REQUEST_SECONDS = 60

LOGIN = f"Basic {base64.b64encode(f'admin:{PASSWORD}'.encode()).decode()}"


class RefusedError(Exception):
    """The registry refused a request."""


class Response(NamedTuple):
    """The registry's response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Image:
    """An image, or an index of some.

    Attributes:
        repository: Where it is pushed to.
        tag: Its tag; empty for none.
        blobs: Its configuration and layers, by digest.
        manifest: Its manifest.
        children: The images of an index.
        media_type: That of the manifest.
        described_by: What describes it, such as signatures, each an image of its own.
    """

    repository: str
    tag: str
    blobs: Mapping[str, bytes]
    manifest: bytes
    children: tuple[Image, ...] = ()
    media_type: str = MANIFEST
    described_by: tuple[Image, ...] = ()

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)

    @property
    def path(self) -> str:
        """Where it is pushed to."""
        return f"/v2/{self.repository}/manifests/{self.tag or self.digest}"

    @property
    def path_of_digest(self) -> str:
        return f"/v2/{self.repository}/manifests/{self.digest}"

    def parts(self) -> set[str]:
        """Return the digests of all that it needs, and of itself."""
        needed = {self.digest, *self.blobs}
        return needed.union(*(x.parts() for x in (*self.children, *self.described_by)))


def describe(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def image(repository: str, tag: str, config: bytes, layers: list[bytes]) -> Image:
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": describe(CONFIG, config),
        "layers": [describe(LAYER, layer) for layer in layers],
    }
    blobs = {digest_of(content): content for content in [config, *layers]}
    return Image(repository, tag, blobs, json.dumps(manifest).encode())


def index(repository: str, tag: str, children: list[Image]) -> Image:
    manifest = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [describe(MANIFEST, child.manifest) for child in children],
    }
    return Image(repository, tag, {}, json.dumps(manifest).encode(), tuple(children), INDEX)


class Client:
    """A client of several pods on one storage; each request goes to any of them.

    Args:
        addresses: Hosts and ports.
        seed: Of its choices.
        patience: How many seconds it waits for a response.
    """

    def __init__(self, addresses: list[str], seed: int, patience: float = REQUEST_SECONDS) -> None:
        self._random = random.Random(seed)
        self._local = threading.local()
        self.addresses, self._patience = addresses, patience

    def call(
        self,
        method: str,
        path: str,
        accepted: tuple[int, ...],
        body: bytes = b"",
        content_type: str = "application/octet-stream",
        address: str = "",
    ) -> Response:
        """Send one request.

        Raises:
            RefusedError: If the response has another status, or is cut short.
            OSError: If there was no response, or that of a proxy before a process that is gone.
        """
        address = address or self._random.choice(self.addresses)
        connections: dict[str, http.client.HTTPConnection]
        connections = self._local.__dict__.setdefault("connections", {})
        connection = connections.pop(address, None)
        if connection is None:
            host, _, port = address.partition(":")
            connection = http.client.HTTPConnection(host, int(port), timeout=self._patience)
        headers = {"Accept": f"{MANIFEST}, {INDEX}, {DOCKER}", "Content-Type": content_type}
        headers["Authorization"] = LOGIN
        try:
            connection.request(method, path, body, headers)
            stream = connection.getresponse()
            received = {name.lower(): value for name, value in stream.getheaders()}
            response = Response(stream.status, received, stream.read())
        except http.client.IncompleteRead as error:
            connection.close()
            raise RefusedError(f"{method} {path}: cut short") from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ConnectionError(f"{method} {path}: {error!r}") from error
        connections[address] = connection
        if response.status in {502, 503, 504}:
            raise ConnectionError(f"{method} {path}: {response.status}")
        if response.status not in accepted:
            excerpt = response.body[:200].decode(errors="replace")
            raise RefusedError(f"{method} {path}: {response.status} {excerpt}")
        return response

    def close(self) -> None:
        """Close this thread's connections."""
        for connection in self._local.__dict__.pop("connections", {}).values():
            connection.close()

    def push(self, pushed: Image, pause: float = 0) -> None:
        """Push an image as clients do: ask for each part, and send it if it is not there.

        Args:
            pushed: The image.
            pause: How many seconds pass before the manifest is pushed.
        """
        base = f"/v2/{pushed.repository}"
        for child in pushed.children:
            if self.call("HEAD", child.path, (200, 404)).status == 404:
                self.push(child)
        for digest, content in pushed.blobs.items():
            if self.call("HEAD", f"{base}/blobs/{digest}", (200, 404)).status == 404:
                self._upload(base, digest, content)
        time.sleep(pause)
        self.name(pushed)
        for describing in pushed.described_by:
            self.push(describing)

    def name(self, pushed: Image) -> None:
        """Push a manifest only, without asking for what it needs."""
        self.call("PUT", pushed.path, (201,), pushed.manifest, pushed.media_type)

    def _upload(self, base: str, digest: str, content: bytes) -> None:
        query = ""
        if self._random.random() < 0.3:
            query = f"?mount={digest}&from=team/r{self._random.randrange(4)}"
        started = self.call("POST", f"{base}/blobs/uploads/{query}", (201, 202))
        if started.status == 201:
            return
        where = _local(started.headers["location"])
        sent = self.call("PATCH", where, (202,), content)
        where = _local(sent.headers["location"])
        self.call("PUT", f"{where}&digest={digest}", (201,))

    def pull(self, pulled: Image, address: str = "") -> None:
        """Pull an image, and compare it byte for byte.

        Raises:
            RefusedError: If it is not what was pushed.
        """
        base = f"/v2/{pulled.repository}"
        for path in dict.fromkeys((pulled.path, pulled.path_of_digest)):
            if self.call("GET", path, (200,), address=address).body != pulled.manifest:
                raise RefusedError(f"GET {path}: another manifest")
        for digest, content in pulled.blobs.items():
            path = f"{base}/blobs/{digest}"
            if self.call("GET", path, (200,), address=address).body != content:
                raise RefusedError(f"GET {path}: other content")
        for other in (*pulled.children, *pulled.described_by):
            self.pull(other, address)


def _local(location: str) -> str:
    parts = urlsplit(location)
    return f"{parts.path}?{parts.query}"
