"""A bucket in memory with a clock, and what a push to CNCF distribution leaves in it.

https://github.com/distribution/distribution/blob/v3.1.2/registry/storage/paths.go
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from scripts.maintenance.keys import blob_key, link_key, tag_key
from scripts.shared.listing import Entry
from scripts.shared.objects import Objects, StorageError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"

PAGE = 3
"""How many objects a list has at a time; a real one has 1,000, and things happen in between."""


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class FakeBucket(Objects):
    """A bucket in memory.

    Attributes:
        stored: The content of each object.
        modified: When it was written; now, if a test stores it by itself.
        read: The keys that were read.
        clock: The server's time, which tests move.
        hidden: The start of the keys that no list shows.
        before: Is called with a method and a key before each request.
        hides: Says of a key whether lists do not show it.
    """

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.modified: dict[str, float] = {}
        self.read: list[str] = []
        self.clock = 1_000_000.0
        self.place = "https://s3.example.com/images"
        self.hidden = ""
        self.before: Callable[[str, str], None] = self.nothing
        self.hides: Callable[[str], bool] = lambda _: False

    def nothing(self, method: str, key: str) -> None:
        """Do what happens before a request by default."""

    def _request(self, method: str, key: str) -> None:
        self.before(method, key)
        self.now = float(int(self.clock))

    def each(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return [function(item) for item in list(items)]

    def list(self, prefix: str) -> Iterator[Entry]:
        after, more = "", True
        while more:
            self._request("LIST", prefix)
            keys = sorted(key for key in self.stored if key.startswith(prefix) and key > after)
            keys = [key for key in keys if not (self.hidden and key.startswith(self.hidden))]
            page, more = keys[:PAGE], len(keys) > PAGE
            after = page[-1] if page else after
            yield from [self._stored_entry(key) for key in page if not self.hides(key)]

    def _stored_entry(self, key: str) -> Entry:
        content = self.stored[key]
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return Entry(key, len(content), self.modified.setdefault(key, self.clock), md5)

    def get(self, key: str) -> bytes | None:
        self._request("GET", key)
        self.read.append(key)
        return self.stored.get(key)

    def get_part(self, key: str, start: int, size: int) -> bytes:
        self._request("GET", key)
        if key not in self.stored:
            raise StorageError(f"no {key}")
        return self.stored[key][start : start + size]

    def put_parts(self, key: str, parts: Iterable[bytes]) -> None:
        content = b"".join(parts)
        self._request("PUT", key)
        self.stored[key], self.modified[key] = content, self.clock

    def sha256(self, key: str) -> str | None:
        content = self.get(key)
        return None if content is None else hashlib.sha256(content).hexdigest()

    def head(self, key: str) -> Entry | None:
        self._request("HEAD", key)
        if key not in self.stored:
            return None
        entry = self._stored_entry(key)
        return entry._replace(modified=float(int(entry.modified)))

    def put(self, key: str, content: bytes) -> str:
        self._request("PUT", key)
        self.stored[key], self.modified[key] = content, self.clock
        return hashlib.md5(content, usedforsecurity=False).hexdigest()

    def delete(self, key: str) -> None:
        self._request("DELETE", key)
        self.stored.pop(key, None)

    def copy(self, source: str, target: str, size: int) -> None:
        self._request("COPY", source)
        if source not in self.stored:
            raise StorageError(f"no {source}")
        assert len(self.stored[source]) == size
        self.stored[target], self.modified[target] = self.stored[source], self.clock

    def push(self, name: str, pushed: Image, tag: str = "") -> None:
        """Write what the registry does."""
        for child in pushed.children:
            self.push(name, child)
        for layer in pushed.layers:
            self.put(blob_key(digest_of(layer)), layer)
            self.put(link_key(name, "_layers", digest_of(layer)), digest_of(layer).encode())
        self.put(blob_key(pushed.digest), pushed.manifest)
        self.put(link_key(name, "_manifests/revisions", pushed.digest), pushed.digest.encode())
        if tag:
            self.put(tag_key(name, tag, pushed.digest), pushed.digest.encode())
            self.put(tag_key(name, tag), pushed.digest.encode())

    def delete_manifest(self, name: str, digest: str) -> None:
        """Delete what the registry does for a manifest: its link, and the tags that name it."""
        del self.stored[link_key(name, "_manifests/revisions", digest)]
        for key, content in list(self.stored.items()):
            if key.startswith(tag_key(name, "").partition("/current")[0]) and (
                content == digest.encode() and key.endswith("/current/link")
            ):
                del self.stored[key]

    def delete_tag(self, name: str, tag: str) -> None:
        """Delete what the registry does for a tag: all that is in its folder."""
        folder = tag_key(name, tag).removesuffix("current/link")
        for key in [key for key in self.stored if key.startswith(folder)]:
            del self.stored[key]

    def pulls(self, name: str, pulled: Image, tag: str = "") -> bool:
        """Return whether all of an image is there, by its tag if it has one."""
        if tag and self.stored.get(tag_key(name, tag)) != pulled.digest.encode():
            return False
        keys = [link_key(name, "_manifests/revisions", pulled.digest), blob_key(pulled.digest)]
        for layer in map(digest_of, pulled.layers):
            keys += [link_key(name, "_layers", layer), blob_key(layer)]
        whole = all(key in self.stored for key in keys)
        return whole and all(self.pulls(name, child) for child in pulled.children)


@dataclass(frozen=True)
class Image:
    """An image, or an index of images.

    Attributes:
        manifest: Its manifest.
        layers: Its configuration and layers.
        children: The images of an index.
    """

    manifest: bytes
    layers: tuple[bytes, ...] = ()
    children: tuple[Image, ...] = ()

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def image(*layers: bytes, subject: str = "") -> Image:
    config, *rest = layers
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer) for layer in rest],
        **({"subject": {"mediaType": MANIFEST, "digest": subject, "size": 1}} if subject else {}),
    }
    return Image(json.dumps(document).encode(), layers)


def index(*children: Image) -> Image:
    manifests = [_descriptor(MANIFEST, child.manifest) for child in children]
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
    return Image(json.dumps(document).encode(), (), children)


A = image(b"config a", b"layer 1", b"layer 2")
B = image(b"config b", b"layer 3")
C = image(b"config c", b"layer 1")
OF_BOTH = index(A, C)
