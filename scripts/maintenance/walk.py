"""What is in the registry's bucket: blobs, repositories, tags, and what each manifest needs.

The keys are those of CNCF distribution:
https://github.com/distribution/distribution/blob/v3.1.2/registry/storage/paths.go
Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from scripts.maintenance.manifests import DIGEST, Manifest, parse_manifest
from scripts.shared.objects import Entry, Objects

ROOT = "docker/registry/v2/"
"""The folder of the registry's own objects, in its root directory."""

SWEPT = "maintenance/swept/"
"""The folder of the copies of deleted blobs."""

_BLOB = re.compile(r"(\w+)/(?:\w\w/)?([0-9a-f]+)(?:/data)?")
_REPOSITORY = re.compile(r"(.+?)/_(layers|manifests/revisions|manifests/tags|uploads)/(.+)")
_LINK = re.compile(r"(\w+)/([0-9a-f]+)/link")
_TAG = re.compile(r"([^/]+)/(current|index)/(?:(\w+)/([0-9a-f]+)/)?link")


Pushed = Callable[[str, str, str, float], float]
"""Returns when a tag was last pushed, by its repository, its name, the digest that it names and the
time when it was last written."""


class Tag(NamedTuple):
    """What a tag names.

    Attributes:
        digest: The manifest's digest.
        pushed: When it was last pushed.
        modified: When it was last written, by a push or by a copy to this bucket. A push writes
            what the tag has ever named, then the tag.
    """

    digest: str
    pushed: float
    modified: float


@dataclass
class Repository:
    """One repository.

    Attributes:
        layers: The digests of the layers that are linked.
        revisions: Those of its manifests, with the time of their last push.
        tags: Its tags.
        dead_tags: Tags that name nothing now, with the last manifest that each of them named.
        uploads: The keys of uploads, and the time of the last one, by upload.
        started: The uploads that can be resumed, which the registry itself deletes in the end.
    """

    layers: set[str] = field(default_factory=set)
    revisions: dict[str, float] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)
    dead_tags: dict[str, Tag] = field(default_factory=dict)
    uploads: dict[str, tuple[list[str], float]] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)


class Walk:
    """Everything that is in the bucket, as of one moment.

    Args:
        objects: The bucket.
        pushed: When tags were pushed, if not when they were last written.

    Attributes:
        now: The time at which it began, by the server's clock.
        blobs: The size of each blob, by digest.
        recent: When a blob, or a link to it as a layer, was last written, by digest.
        swept: The copies of deleted blobs, by digest.
        repositories: The repositories, by name.
        manifests: The manifests that were read, by digest.
        aliases: Digests of another algorithm than that of the blobs that are linked under them,
            with the blobs' own.
        unclear: What could not be understood.
        damaged: Blobs whose content does not match their digest.
        latest: When something was last pushed or begun.
    """

    def __init__(self, objects: Objects, pushed: Pushed = lambda *named: named[-1]) -> None:
        self._objects, self._pushed = objects, pushed
        self.now = 0.0
        self.blobs: dict[str, int] = {}
        self.recent: dict[str, float] = defaultdict(float)
        self.swept: dict[str, Entry] = {}
        self.manifests: dict[str, Manifest] = {}
        self.aliases: dict[str, str] = {}
        self.damaged: set[str] = set()
        self._list_repositories()
        # After the links, as a push writes a blob before its link: none seems to be missing.
        for entry in objects.list(f"{ROOT}blobs/"):
            if digest := _digest(_BLOB, entry.key[len(f"{ROOT}blobs/") :]):
                self.blobs[digest] = entry.size
                self.recent[digest] = max(self.recent[digest], entry.modified)
        for entry in objects.list(SWEPT):
            if digest := _digest(_BLOB, entry.key[len(SWEPT) :]):
                self.swept[digest] = entry
        self._read_new_manifests()

    def look_again(self) -> None:
        """List the repositories again, and read the manifests that are new."""
        self._list_repositories()
        self._read_new_manifests()

    def _list_repositories(self) -> None:
        self.repositories: dict[str, Repository] = defaultdict(Repository)
        self.unclear: list[str] = []
        self.latest = 0.0
        foreign: dict[str, str] = {}
        currents: dict[str, dict[str, Entry]] = defaultdict(dict)
        for entry in self._objects.list(f"{ROOT}repositories/"):
            self.now = self.now or self._objects.now
            match = _REPOSITORY.fullmatch(entry.key, len(f"{ROOT}repositories/"))
            if not match:
                continue
            name, kind, rest = match.groups()
            repository = self.repositories[name]
            self.latest = max(self.latest, entry.modified)
            if kind == "uploads":
                _add_upload(repository, rest, entry)
            elif kind == "manifests/tags":
                _add_tag_link(repository, rest, entry, currents[name])
            elif digest := _digest(_LINK, rest):
                if kind == "manifests/revisions":
                    repository.revisions[digest] = entry.modified
                else:
                    repository.layers.add(digest)
                    self.recent[digest] = max(self.recent[digest], entry.modified)
                    if not digest.startswith("sha256:"):
                        foreign[entry.key] = digest
        self.now = self.now or self._objects.now
        self._resolve(currents)
        for key, content in self._read(foreign):
            if DIGEST.fullmatch(content):
                self.aliases[foreign[key]] = content

    def _resolve(self, currents: dict[str, dict[str, Entry]]) -> None:
        """Find what each tag names: most links are told by their MD5, and the others are read."""
        unknown: dict[str, tuple[str, str, float]] = {}
        for name, entries in currents.items():
            repository = self.repositories[name]
            hashes = {_md5(digest): digest for digest in repository.revisions}
            for tag, entry in entries.items():
                last = repository.dead_tags.pop(tag, Tag("", 0, 0))
                modified = max(last.modified, entry.modified)
                if entry.etag in hashes:
                    self._add_tag(name, tag, hashes[entry.etag], modified)
                else:
                    unknown[entry.key] = name, tag, modified
        for key, content in self._read(unknown):
            name, tag, modified = unknown[key]
            if DIGEST.fullmatch(content):
                self._add_tag(name, tag, sys.intern(content), modified)
            elif content:
                self.unclear.append(f"{key} names no digest")

    def _add_tag(self, name: str, tag: str, digest: str, modified: float) -> None:
        pushed = self._pushed(name, tag, digest, modified)
        self.repositories[name].tags[tag] = Tag(digest, pushed, modified)

    def _read(self, keys: Iterable[str]) -> list[tuple[str, str]]:
        """Return keys with their content; an empty one if it is gone."""

        def read(key: str) -> tuple[str, str]:
            return key, (self._objects.get(key) or b"").decode(errors="replace")

        return self._objects.each(read, keys)

    def _read_new_manifests(self) -> None:
        tagged = {x.digest for r in self.repositories.values() for x in r.tags.values()}
        self.read_manifests(tagged.union(*(r.revisions for r in self.repositories.values())))

    def read_manifests(self, digests: Iterable[str]) -> None:
        """Read manifests that were not read yet; a missing one is no blob from now on."""
        new = [digest for digest in digests if digest not in self.manifests]

        def read(digest: str) -> tuple[str, bytes | None]:
            return digest, self._objects.get(blob_key(digest))

        for digest, content in self._objects.each(read, new):
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


def _add_tag_link(
    repository: Repository, rest: str, entry: Entry, currents: dict[str, Entry]
) -> None:
    if not (match := _TAG.fullmatch(rest)):
        return
    tag, kind, algorithm, value = match.groups()
    if kind == "current":
        currents[tag] = entry
    elif tag not in repository.dead_tags or repository.dead_tags[tag].modified < entry.modified:
        digest = sys.intern(f"{algorithm}:{value}")
        repository.dead_tags[tag] = Tag(digest, entry.modified, entry.modified)


def _add_upload(repository: Repository, rest: str, entry: Entry) -> None:
    upload, _, file = rest.partition("/")
    keys, latest = repository.uploads.get(upload, ([], 0.0))
    repository.uploads[upload] = ([*keys, entry.key], max(latest, entry.modified))
    if file == "startedat":
        repository.started.add(upload)


def _digest(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.fullmatch(text)
    return sys.intern(f"{match[1]}:{match[2]}") if match else ""


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def blob_key(digest: str) -> str:
    """Return the key of a blob's content."""
    algorithm, _, value = digest.partition(":")
    return f"{ROOT}blobs/{algorithm}/{value[:2]}/{value}/data"


def swept_key(digest: str) -> str:
    """Return the key of a deleted blob's copy."""
    return SWEPT + digest.replace(":", "/")


def link_key(repository: str, kind: str, digest: str) -> str:
    """Return the key of a link: ``_layers`` and ``_manifests/revisions`` are the kinds."""
    return f"{ROOT}repositories/{repository}/{kind}/{digest.replace(':', '/')}/link"


def tag_key(repository: str, tag: str, digest: str = "") -> str:
    """Return the key of a tag's link to its manifest, or to one that it has ever named."""
    entry = f"index/{digest.replace(':', '/')}" if digest else "current"
    return f"{ROOT}repositories/{repository}/_manifests/tags/{tag}/{entry}/link"
