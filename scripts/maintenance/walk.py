"""What is in the registry's bucket: blobs, repositories, tags, and what each manifest needs."""

from __future__ import annotations

import re
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import nullcontext

from scripts.maintenance.keys import (
    BLOB,
    COPY,
    DIGEST,
    LINK,
    REVISIONS,
    ROOT,
    SWEPT,
    blob_key,
    digest_in,
    md5,
    tag_key,
)
from scripts.maintenance.references import (
    LARGE_BYTES,
    MANIFEST_BYTES,
    Manifest,
    References,
    matches,
    read_manifest,
)
from scripts.maintenance.repository import Repository, Tag, add_tag_link, add_upload
from scripts.shared.listing import Entry
from scripts.shared.objects import Objects, StorageError

_REPOSITORY = re.compile(r"(.+?)/_(layers|manifests/revisions|manifests/tags|uploads)/(.+)")

SETTLED_SECONDS = 300
"""For how long a list may not show what is there: what was uploaded in parts counts as written when
that began. https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html"""

MOST_UNREADABLE = 10
"""If more manifests cannot be read, it is the storage that does not work."""

_READING = threading.Lock()

Pushed = Callable[[str, str, Tag], Tag]
"""Returns a tag with what is remembered of its push, by its repository and its name."""


class Walk:
    """Everything that is in the bucket, as of one moment.

    Args:
        references: What is remembered of manifests; it learns what is read.
        pushed: Knows when tags were pushed, if not when they were last written.
        young_seconds: For how long it matters when something was written.

    Attributes:
        now: The time at which it began, by the server's clock.
        blobs: The size of each blob, by digest.
        recent: When a blob, or a link to it as a layer, was written within `young_seconds`.
        swept: The copies of deleted blobs, by digest.
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
        self._young, self._unreadable = young_seconds, 0
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
            if digest := digest_in(BLOB, entry.key, f"{ROOT}blobs/"):
                self.blobs[digest] = entry.size
                self._note_recent(digest, entry.modified)
        for entry in objects.list(SWEPT):
            if digest := digest_in(COPY, entry.key, SWEPT):
                self.swept[digest] = entry
        self._read_new_manifests()

    def look_again(self) -> None:
        """List the repositories again, and read the manifests that are new."""
        self._list_repositories()
        self._read_new_manifests()

    def find(self, key: str) -> Entry | None:
        """Return an object that a list did not show; None if there is none.

        What was written since the walk began may be missing there. What is older may not.
        """
        entry = self._objects.head(key)
        if entry and entry.modified < self.now - SETTLED_SECONDS:
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
                add_upload(repository, rest, entry)
            elif kind == "manifests/tags":
                add_tag_link(repository, rest, entry, currents[name])
            elif digest := digest_in(LINK, rest):
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
            hashes = {md5(x): x for x in repository.revisions}
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
        repository = self.repositories[name]
        repository.tags[tag] = self._pushed(name, tag, Tag(digest, modified, modified))
        repository.past.pop(tag_key(name, tag, digest), None)

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

        for digest, size, manifest in self._objects.each(self._read_manifest, new):
            if manifest is None:
                self.blobs.pop(digest, None)
                continue
            self.blobs[digest] = size
            self.manifests[digest] = manifest
            if digest not in self.damaged:
                self._references.add(digest, manifest)
        self._note_odd()

    def _read_manifest(self, digest: str) -> tuple[str, int, Manifest | None]:
        with _READING if self.blobs.get(digest, 0) > LARGE_BYTES else nullcontext():
            try:
                content = self._objects.get(blob_key(digest))
            except StorageError:
                # One object that its server cannot read is one image's problem.
                self._unreadable += 1
                if self._unreadable > MOST_UNREADABLE:
                    raise
                self.damaged.add(digest)
                return digest, self.blobs.get(digest, 0), Manifest(odd="it cannot be read")
            if content is None:
                return digest, 0, None
            if not matches(content, digest):
                self.damaged.add(digest)
            manifest = read_manifest(content)
            # A text of 4 MiB can mention 60,000 digests of nothing, which was not pushed with it.
            others = [sys.intern(x) for x in manifest.others if x in self.blobs or x in self.swept]
            return digest, len(content), manifest._replace(others=tuple(others))

    def _note_odd(self) -> None:
        odd = {digest: x.odd for digest, x in self.manifests.items() if x.odd}
        for name, repository in self.repositories.items() if odd else ():
            labels = {x: f"{name}@{x}" for x in repository.revisions}
            labels |= {x.digest: f"{name}:{tag}" for tag, x in repository.tags.items()}
            lines = (f"{labels[digest]}: {odd[digest]}" for digest in sorted(odd.keys() & labels))
            repository.odd += [line for line in lines if line not in repository.odd]
