"""What is in the registry's bucket: blobs, repositories, tags, and what each manifest needs.

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

from scripts.maintenance.keys import DIGEST, REVISIONS, ROOT, SWEPT, blob_key
from scripts.maintenance.references import MANIFEST_BYTES, Manifest, References, read_manifest
from scripts.shared.listing import Entry
from scripts.shared.objects import Objects

_BLOB = re.compile(r"(\w+)/(?:\w\w/)?([0-9a-f]+)(?:/data)?")
_REPOSITORY = re.compile(r"(.+?)/_(layers|manifests/revisions|manifests/tags|uploads)/(.+)")
_LINK = re.compile(r"(\w+)/([0-9a-f]+)/link")
_TAG = re.compile(r"([^/]+)/(current|index)/(?:(\w+)/([0-9a-f]+)/)?link")


class Tag(NamedTuple):
    """What a tag names.

    Attributes:
        digest: The manifest's digest.
        pushed: When it was last pushed.
        modified: When it was last written, by a push, a restore, or a copy to this bucket. A push
            writes what the tag has ever named, then the tag.
        pinned: Whether somebody has restored it, so that no rule deletes it.
    """

    digest: str
    pushed: float
    modified: float
    pinned: bool = False


Pushed = Callable[[str, str, Tag], Tag]
"""Returns a tag with what is remembered of its push, by its repository and its name."""


@dataclass
class Repository:
    """One repository.

    Attributes:
        layers: The digests of the layers that are linked.
        revisions: Those of its manifests, with the time of their last push.
        tags: Its tags.
        dead_tags: Tags that name nothing now, with the last manifest that each of them named.
        past: The keys of what tags have ever named, with the tag and when they were written.
        uploads: The keys of uploads, and the time of the last one, by upload.
        started: The uploads that can be resumed, with the time when they began. The registry itself
            deletes them in the end.
        odd: What is not understood, in words.
    """

    layers: set[str] = field(default_factory=set)
    revisions: dict[str, float] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)
    dead_tags: dict[str, Tag] = field(default_factory=dict)
    past: dict[str, tuple[str, float]] = field(default_factory=dict)
    uploads: dict[str, tuple[list[str], float]] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)


class Walk:
    """Everything that is in the bucket, as of one moment.

    Args:
        objects: The bucket.
        references: What is remembered of manifests; it learns what is read.
        pushed: Knows when tags were pushed, if not when they were last written.
        young_seconds: For how long it matters when something was written.

    Attributes:
        now: The time at which it began, by the server's clock.
        blobs: The size of each blob, by digest.
        recent: When a blob, or a link to it as a layer, was written within `young_seconds`.
        swept: The copies of deleted blobs, by digest.
        repositories: The repositories, by name.
        manifests: What each manifest refers to, by digest.
        aliases: Digests of another algorithm than that of the blobs that are linked under them,
            with the blobs' own.
        damaged: Blobs whose content does not match their digest.
        unlisted: The keys of objects that are older than the list that did not show them.
    """

    def __init__(
        self,
        objects: Objects,
        references: References,
        pushed: Pushed = lambda _repository, _tag, named: named,
        young_seconds: float = 0,
    ) -> None:
        self._objects, self._references, self._pushed = objects, references, pushed
        self._young = young_seconds
        self.now = 0.0
        self.blobs: dict[str, int] = {}
        self.recent: dict[str, float] = defaultdict(float)
        self.swept: dict[str, Entry] = {}
        self.manifests: dict[str, Manifest] = {}
        self.aliases: dict[str, str] = {}
        self.damaged: set[str] = set()
        self.unlisted: set[str] = set()
        self._list_repositories()
        # After the links, as a push writes a blob before its link: none seems to be missing.
        for entry in objects.list(f"{ROOT}blobs/"):
            if digest := _digest(_BLOB, entry.key[len(f"{ROOT}blobs/") :]):
                self.blobs[digest] = entry.size
                self._note_recent(digest, entry.modified)
        for entry in objects.list(SWEPT):
            if digest := _digest(_BLOB, entry.key[len(SWEPT) :]):
                self.swept[digest] = entry
        self._read_new_manifests()

    def look_again(self) -> None:
        """List the repositories again, and read the manifests that are new."""
        self._list_repositories()
        self._read_new_manifests()

    def find(self, key: str) -> Entry | None:
        """Return an object that a list did not show; None if there is none.

        What was written after the walk began may be missing there. What is older may not.
        """
        entry = self._objects.head(key)
        if entry and entry.modified < self.now:
            self.unlisted.add(key)
        return entry

    def _note_recent(self, digest: str, modified: float) -> None:
        if self.now - modified < self._young:
            self.recent[digest] = max(self.recent[digest], modified)

    def _list_repositories(self) -> None:
        self.repositories: dict[str, Repository] = defaultdict(Repository)
        foreign: dict[str, str] = {}
        currents: dict[str, dict[str, Entry]] = defaultdict(dict)
        entries = self._objects.list(f"{ROOT}repositories/")
        for entry in entries:
            self.now = self.now or self._objects.now
            match = _REPOSITORY.fullmatch(entry.key, len(f"{ROOT}repositories/"))
            if not match:
                continue
            name, kind, rest = match.groups()
            repository = self.repositories[sys.intern(name)]
            if kind == "uploads":
                _add_upload(repository, rest, entry)
            elif kind == "manifests/tags":
                _add_tag_link(repository, rest, entry, currents[name])
            elif digest := _digest(_LINK, rest):
                if f"_{kind}" == REVISIONS:
                    repository.revisions[digest] = entry.modified
                else:
                    repository.layers.add(digest)
                    self._note_recent(digest, entry.modified)
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
                self.repositories[name].odd.append(f"{name}:{tag}: it names no digest")

    def _add_tag(self, name: str, tag: str, digest: str, modified: float) -> None:
        self.repositories[name].tags[tag] = self._pushed(name, tag, Tag(digest, modified, modified))

    def _read(self, keys: Iterable[str]) -> list[tuple[str, str]]:
        """Return keys with their content; an empty one if it is gone."""

        def read(key: str) -> tuple[str, str]:
            return key, (self._objects.get(key) or b"").decode(errors="replace")

        return self._objects.each(read, keys)

    def _read_new_manifests(self) -> None:
        tagged = {x.digest for r in self.repositories.values() for x in r.tags.values()}
        self.read_manifests(tagged.union(*(r.revisions for r in self.repositories.values())))
        for name, repository in self.repositories.items():
            labels = {x.digest: f"{name}:{tag}" for tag, x in repository.tags.items()}
            for digest in {*repository.revisions, *labels}:
                if (manifest := self.manifests.get(digest)) and manifest.odd:
                    label = labels.get(digest, f"{name}@{digest}")
                    repository.odd.append(f"{label}: {manifest.odd}")

    def read_manifests(self, digests: Iterable[str]) -> None:
        """Read manifests that were not read yet; a missing one is no blob from now on."""
        new = []
        for digest in digests:
            if digest in self.manifests:
                continue
            if known := digest in self.blobs and self._references.get(digest):
                self.manifests[digest] = known
            elif self.blobs.get(digest, 0) > MANIFEST_BYTES:
                self.manifests[digest] = Manifest(odd="it is larger than any manifest")
            else:
                new.append(digest)

        def read(digest: str) -> tuple[str, int, Manifest | None]:
            content = self._objects.get(blob_key(digest))
            if content is None:
                return digest, 0, None
            if not matches(content, digest):
                self.damaged.add(digest)
            return digest, len(content), read_manifest(content)

        for digest, size, manifest in self._objects.each(read, new):
            if manifest is None:
                self.blobs.pop(digest, None)
                continue
            self.blobs[digest] = size
            self.manifests[digest] = manifest
            if digest not in self.damaged:
                self._references.add(digest, manifest)


def matches(content: bytes, digest: str) -> bool:
    """Return whether a content has a digest, of any algorithm that the registry knows."""
    algorithm, _, value = digest.partition(":")
    known = algorithm in {"sha256", "sha384", "sha512"}
    return known and hashlib.new(algorithm, content).hexdigest() == value


def _add_tag_link(
    repository: Repository, rest: str, entry: Entry, currents: dict[str, Entry]
) -> None:
    if not (match := _TAG.fullmatch(rest)):
        return
    tag, kind, algorithm, value = match.groups()
    if kind == "current":
        currents[tag] = entry
        return
    repository.past[entry.key] = tag, entry.modified
    if tag not in repository.dead_tags or repository.dead_tags[tag].modified < entry.modified:
        digest = sys.intern(f"{algorithm}:{value}")
        repository.dead_tags[tag] = Tag(digest, entry.modified, entry.modified)


def _add_upload(repository: Repository, rest: str, entry: Entry) -> None:
    upload, _, file = rest.partition("/")
    keys, latest = repository.uploads.get(upload, ([], 0.0))
    repository.uploads[upload] = ([*keys, entry.key], max(latest, entry.modified))
    if file == "startedat":
        repository.started[upload] = entry.modified


def _digest(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.fullmatch(text)
    return sys.intern(f"{match[1]}:{match[2]}") if match else ""


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
