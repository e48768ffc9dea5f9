"""Copy what the registry has in one bucket to another one, so that it could be served from there.

Nothing is deleted there. Blobs come first, then links, and tags last, each only where all that it
needs is there: so whatever ends a copy, each tag of it names an image that is whole, and the next
copy goes on.
"""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import nullcontext

from scripts.maintenance.images import lost
from scripts.maintenance.keys import LAYERS, REVISIONS, blob_key, link_key, tag_key
from scripts.maintenance.references import ALGORITHMS, Manifest, References, matches
from scripts.maintenance.repository import Repository
from scripts.maintenance.sample import check_sample
from scripts.maintenance.state import State
from scripts.maintenance.walk import MOST_UNREADABLE, Walk
from scripts.shared.objects import Objects, StorageError

PART_BYTES = 8 * 2**20
"""How much of a blob is in memory at a time, and written by one request."""

MOST_PARTS = 10_000
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""

SMALL_BYTES = 2**20
"""Of larger blobs, four are copied at a time: each part takes its size in memory twice."""

_LARGE = threading.Semaphore(4)


class _DamagedError(Exception):
    """A blob's content does not match its digest."""


class Copy:
    """One copy of all that the registry has: made, and then looked for.

    Args:
        references: What is remembered of the source's manifests.
        state: Its damaged blobs are the target's, which are written anew; it learns of more.

    Attributes:
        walk: What the source has.
        written: The sizes of the blobs that were written.
        problems: What the target does not have as the source should have it.
    """

    def __init__(
        self, source: Objects, target: Objects, references: References, state: State
    ) -> None:
        self._source, self._target = source, target
        self._failures = 0
        self.written: list[int] = []
        self.walk = Walk(source, references)
        there = Walk(target, references)
        for digest in state.damaged:
            there.blobs.pop(digest, None)
        self.problems = [f"{x}: {_OTHER_CONTENT}" for x in sorted(self.walk.damaged)]
        self._write_blobs(there)
        self._write_links(there)
        self._look(references, state)
        if self.problems:
            self.problems += [f"lost: {x}" for x in lost(self.walk)]

    def _write_blobs(self, there: Walk) -> None:
        """Write what is linked and differs, and note what is there."""
        walk, linked = self.walk, {*self.walk.aliases.values()}
        for repository in walk.repositories.values():
            linked.update(repository.layers, repository.revisions)
        wanted = [
            digest
            for digest in sorted((linked & walk.blobs.keys()) - walk.damaged)
            if there.blobs.get(digest) != walk.blobs[digest]
            and digest.partition(":")[0] in ALGORITHMS
        ]
        for digest in wanted:
            there.blobs.pop(digest, None)
        for digest, problem in self._target.each(self._write_blob, wanted):
            if problem:
                self.problems.append(f"{digest}: {problem}")
            else:
                there.blobs[digest] = walk.blobs[digest]
                self.written.append(walk.blobs[digest])

    def _write_blob(self, digest: str) -> tuple[str, str]:
        """Copy a blob, and return it with what is wrong, if anything."""
        key, size = blob_key(digest), self.walk.blobs[digest]
        try:
            with _LARGE if size > SMALL_BYTES else nullcontext():
                # The server compares each body with the SHA-256 that its request is signed with.
                if size > PART_BYTES:
                    self._target.put_parts(key, self._parts(digest, size))
                elif (content := self._source.get(key)) is None:
                    return digest, "it is gone"
                elif matches(content, digest):
                    self._target.put(key, content)
                else:
                    return digest, _OTHER_CONTENT
        except _DamagedError:
            return digest, _OTHER_CONTENT
        except StorageError as error:
            # One object is one image's problem.
            self._failures += 1
            if self._failures > MOST_UNREADABLE:
                raise
            return digest, str(error)
        return digest, ""

    def _parts(self, digest: str, size: int) -> Iterator[bytes]:
        algorithm, _, value = digest.partition(":")
        hashed, step = hashlib.new(algorithm), max(PART_BYTES, -(-size // MOST_PARTS))
        for start in range(0, size, step):
            part = self._source.get_part(blob_key(digest), start, min(step, size - start))
            hashed.update(part)
            if start + step >= size and hashed.hexdigest() != value:
                raise _DamagedError
            yield part

    def _write_links(self, there: Walk) -> None:
        """Write the links that the target lacks, those of images after those of their parts."""
        walk = self.walk
        layers: dict[str, str] = {}
        images: dict[str, str] = {}
        indexes: dict[str, str] = {}
        past: dict[str, str] = {}
        tags: dict[str, str] = {}
        for name, repository in walk.repositories.items():
            held = there.repositories.get(name, Repository())
            for digest in repository.layers - held.layers:
                if (blob := walk.aliases.get(digest, digest)) in there.blobs:
                    layers[link_key(name, LAYERS, digest)] = blob
            complete = whole(walk, repository, there.blobs)
            for digest in complete - held.revisions.keys():
                kind = indexes if walk.manifests[digest].children else images
                kind[link_key(name, REVISIONS, digest)] = digest
            for tag, named in repository.tags.items():
                if named.digest in complete and _names(held, tag) != named.digest:
                    past[tag_key(name, tag, named.digest)] = named.digest
                    tags[tag_key(name, tag)] = named.digest
        for links in (layers, images, indexes, past, tags):
            self._target.each(
                lambda link: self._target.put(link[0], link[1].encode()), links.items()
            )

    def _look(self, references: References, state: State) -> None:
        """Look for all tags in the target, and compare some of its blobs with their digests."""
        walk, there = self.walk, Walk(self._target, references)
        check_sample(self._target, there, state)
        self.problems += [f"the copy of {x}: {_OTHER_CONTENT}" for x in sorted(there.damaged)]
        blobs = there.blobs.keys() - there.damaged
        for name, repository in sorted(walk.repositories.items()):
            held = there.repositories.get(name, Repository())
            complete = whole(walk, held, blobs)
            self.problems += [
                f"{name}:{tag}: not all of it is in the copy"
                for tag, named in sorted(repository.tags.items())
                if _names(held, tag) != named.digest or named.digest not in complete
            ]


_OTHER_CONTENT = "its content does not match its digest"


def whole(walk: Walk, repository: Repository, blobs: Collection[str]) -> set[str]:
    """Return the manifests of a repository of which all is there.

    Args:
        walk: Knows what manifests need.
        blobs: What is there.
    """
    parents: dict[str, list[str]] = defaultdict(list)
    broken: list[str] = []
    for digest in repository.revisions:
        manifest = walk.manifests.get(digest, Manifest())
        # An entry of an index may be a layer, whatever it says.
        children = [x for x in manifest.children if x not in repository.layers]
        layers = {*manifest.layers, *manifest.children} - {*children}
        for child in children:
            parents[child].append(digest)
        if (
            digest not in walk.manifests
            or digest in walk.damaged
            or digest not in blobs
            or not repository.layers.issuperset(layers)
            or any(walk.aliases.get(x, x) not in blobs for x in layers)
            or any(x not in repository.revisions for x in children)
        ):
            broken.append(digest)
    found: set[str] = set()
    while broken:
        digest = broken.pop()
        if digest not in found:
            found.add(digest)
            broken += parents[digest]
    return repository.revisions.keys() - found


def _names(repository: Repository, tag: str) -> str:
    return repository.tags[tag].digest if tag in repository.tags else ""
