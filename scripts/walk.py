"""What is in the registry's bucket: blobs, repositories, tags, and what each manifest needs.

The keys are those of CNCF distribution:
https://github.com/distribution/distribution/blob/v3.1.2/registry/storage/paths.go
Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from scripts.objects import Entry, Objects

ROOT = "docker/registry/v2/"
"""The folder of the registry's own objects, in its root directory."""

DIGEST = re.compile(r"[a-z0-9]+:[0-9a-f]{32,}")
_IN_JSON = re.compile(rf'"({DIGEST.pattern})"')
_BLOB = re.compile(r"(\w+)/(?:\w\w/)?([0-9a-f]+)(?:/data)?")
_REPOSITORY = re.compile(r"(.+?)/_manifests/(revisions|tags)/(.+)")
_LINK = re.compile(r"(\w+)/([0-9a-f]+)/link")
_TAG = re.compile(r"([^/]+)/current/link")


class Manifest(NamedTuple):
    """What a manifest refers to.

    Attributes:
        layers: The digests of its configuration and layers, which must be in its repository.
        sizes: Their sizes; empty if it does not say.
        children: Those of the manifests of an index.
        optional: Further ones, which may be somewhere else.
        subject: That of the manifest that it describes; empty if it is none of its own.
    """

    layers: tuple[str, ...]
    sizes: tuple[int, ...]
    children: tuple[str, ...]
    optional: tuple[str, ...]
    subject: str


@dataclass
class Repository:
    """One repository.

    Attributes:
        revisions: The digests of its manifests.
        tags: What each of its tags names.
    """

    revisions: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)


class Walk:
    """Everything that is in the bucket, as of one moment.

    Args:
        objects: The bucket.

    Attributes:
        blobs: The size of each blob, by digest.
        repositories: The repositories, by name.
        manifests: The manifests that were read, by digest.
        unclear: What could not be understood.
        damaged: Blobs whose content does not match their digest.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.blobs: dict[str, int] = {}
        self.repositories: dict[str, Repository] = defaultdict(Repository)
        self.manifests: dict[str, Manifest] = {}
        self.unclear: list[str] = []
        self.damaged: set[str] = set()
        self._list_repositories()
        # After the links, as a push writes a blob before its link: none seems to be missing.
        for entry in objects.list(f"{ROOT}blobs/"):
            if digest := _digest(_BLOB, entry.key[len(f"{ROOT}blobs/") :]):
                self.blobs[digest] = entry.size
        tagged = {x for r in self.repositories.values() for x in r.tags.values()}
        self._read_manifests(tagged.union(*(r.revisions for r in self.repositories.values())))

    def _list_repositories(self) -> None:
        links: dict[str, dict[str, Entry]] = defaultdict(dict)
        for entry in self._objects.list(f"{ROOT}repositories/"):
            match = _REPOSITORY.fullmatch(entry.key, len(f"{ROOT}repositories/"))
            if not match:
                continue
            name, kind, rest = match.groups()
            if kind == "tags":
                if tag := _TAG.fullmatch(rest):
                    links[name][tag[1]] = entry
            elif digest := _digest(_LINK, rest):
                self.repositories[name].revisions.add(digest)
        self._resolve(links)

    def _resolve(self, links: dict[str, dict[str, Entry]]) -> None:
        """Find what each tag names: most links are told by their MD5, and the others are read."""
        unknown: dict[str, tuple[dict[str, str], str]] = {}
        for name, entries in links.items():
            repository = self.repositories[name]
            hashes = {_md5(digest): digest for digest in repository.revisions}
            for tag, entry in entries.items():
                if entry.etag in hashes:
                    repository.tags[tag] = hashes[entry.etag]
                else:
                    unknown[entry.key] = repository.tags, tag
        for key, content in self._read(unknown):
            tags, tag = unknown[key]
            if DIGEST.fullmatch(content):
                tags[tag] = sys.intern(content)
            elif content:
                self.unclear.append(f"{key} names no digest")

    def _read(self, keys: Iterable[str]) -> list[tuple[str, str]]:
        """Return keys with their content; an empty one if it is gone."""

        def read(key: str) -> tuple[str, str]:
            return key, (self._objects.get(key) or b"").decode(errors="replace")

        return self._objects.each(read, keys)

    def _read_manifests(self, digests: Iterable[str]) -> None:
        """Read manifests; a missing one is no blob from now on."""

        def read(digest: str) -> tuple[str, bytes | None]:
            return digest, self._objects.get(blob_key(digest))

        for digest, content in self._objects.each(read, digests):
            if content is None:
                self.blobs.pop(digest, None)
                continue
            self.blobs[digest] = len(content)
            if digest != f"sha256:{hashlib.sha256(content).hexdigest()}":
                self.damaged.add(digest)
                continue
            try:
                self.manifests[digest] = parse_manifest(content)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self.unclear.append(f"the manifest {digest}: {error!r}")


def parse_manifest(content: bytes) -> Manifest:
    """Return what a manifest or index refers to; all digests in it, if it is of an unknown kind.

    https://github.com/opencontainers/image-spec/blob/main/manifest.md and image-index.md beside it;
    https://distribution.github.io/distribution/spec/deprecated-schema-v1/

    Raises:
        ValueError, KeyError, TypeError, AttributeError: If it is neither.
    """
    document: dict[str, Any] = json.loads(content)
    layers: list[dict[str, Any]] = []
    children: list[str] = []
    optional: list[str] = []
    if document["schemaVersion"] == 1:
        layers = [{"digest": layer["blobSum"]} for layer in document["fsLayers"]]
    elif "manifests" in document:
        children = [child["digest"] for child in document["manifests"]]
    elif "config" in document and "layers" in document:
        parts = [document["config"], *document["layers"]]
        layers = [part for part in parts if not part.get("urls")]
        # Layers with URLs need not be in any registry.
        optional = [part["digest"] for part in parts if part.get("urls")]
    else:
        optional = _IN_JSON.findall(content.decode())
    return Manifest(
        layers=tuple(sys.intern(layer["digest"]) for layer in layers),
        sizes=tuple(layer["size"] for layer in layers if "size" in layer),
        children=tuple(map(sys.intern, children)),
        optional=tuple(map(sys.intern, optional)),
        subject=sys.intern((document.get("subject") or {"digest": ""})["digest"]),
    )


def _digest(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.fullmatch(text)
    return sys.intern(f"{match[1]}:{match[2]}") if match else ""


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def blob_key(digest: str) -> str:
    """Return the key of a blob's content."""
    algorithm, _, value = digest.partition(":")
    return f"{ROOT}blobs/{algorithm}/{value[:2]}/{value}/data"


def link_key(repository: str, kind: str, digest: str) -> str:
    """Return the key of a link: ``_layers`` and ``_manifests/revisions`` are the kinds."""
    return f"{ROOT}repositories/{repository}/{kind}/{digest.replace(':', '/')}/link"


def tag_key(repository: str, tag: str, digest: str = "") -> str:
    """Return the key of a tag's link to its manifest, or to one that it has ever named."""
    entry = f"index/{digest.replace(':', '/')}" if digest else "current"
    return f"{ROOT}repositories/{repository}/_manifests/tags/{tag}/{entry}/link"
