"""A model of a registry's pods that work on a bucket, request by request, and of the collection.

The model does what CNCF distribution 3.1.2 does: which requests it sends to the storage in which
order, and what each pod remembers, without a time limit, and believes.
https://github.com/distribution/distribution/tree/v3.1.2/registry/storage
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any

from scripts.maintenance.collect import Collection
from scripts.maintenance.keys import LAYERS, REVISIONS, ROOT, blob_key, link_key, tag_key
from scripts.maintenance.plan import Times
from scripts.maintenance.references import References
from scripts.maintenance.registry_pods import ForgetError, Memory, Pods
from scripts.maintenance.retention import Retention
from scripts.maintenance.state import load
from scripts.maintenance.walk import Walk
from scripts.shared.objects import Objects
from tests.unit.scripts.fake_bucket import FakeBucket, Image, digest_of

Steps = Generator[None, None, Any]
"""Work that stops before each request to the storage."""


@dataclass
class Pod:
    """One pod of the registry: a process that remembers takes layers and images' manifests, and one
    without a memory takes all questions about manifests, and indexes.

    Attributes:
        objects: The bucket.
        remembers_manifests: Whether one process takes everything, as it was before.
        known: What it remembers to be in a repository.
        exists: What it remembers to be in the bucket.
    """

    objects: FakeBucket
    remembers_manifests: bool = False
    known: set[tuple[str, str]] = field(default_factory=set)
    exists: set[str] = field(default_factory=set)

    def stat(self, name: str, kind: str, digest: str) -> Steps:
        """linkedBlobStatter.Stat behind cachedBlobStatter."""
        remembers = kind == LAYERS or self.remembers_manifests
        if remembers and (name, digest) in self.known:
            return True
        yield
        if self.objects.get(link_key(name, kind, digest)) is None:
            return False
        if digest not in self.exists or not remembers:
            yield
            if self.objects.head(blob_key(digest)) is None:
                return False
        if remembers:
            self.exists.add(digest)
            self.known.add((name, digest))
        return True

    def upload(self, name: str, content: bytes) -> Steps:
        """blobWriter.Commit, after the content has been sent."""
        digest = digest_of(content)
        yield
        if self.objects.head(blob_key(digest)) is None:
            yield
            self.objects.put(blob_key(digest), content)
        yield
        self.objects.put(link_key(name, "_layers", digest), digest.encode())
        self.known.add((name, digest))
        self.exists.add(digest)

    def mount(self, name: str, source: str, digest: str) -> Steps:
        """linkedBlobStore.mount: link a layer that another repository has, if it does."""
        if not (yield from self.stat(source, LAYERS, digest)):
            return False
        yield
        self.objects.put(link_key(name, LAYERS, digest), digest.encode())
        self.known.add((name, digest))
        return True

    def push(self, name: str, pushed: Image, tag: str = "") -> Steps:
        """Push as clients do: ask for each part, send it if it is not there; then the manifest.

        Returns:
            Whether the registry acknowledged it.
        """
        for child in pushed.children:
            yield
            there = yield from self.manifest(name, child.digest)
            if there is None and not (yield from self.push(name, child)):
                return False
        for layer in pushed.layers:
            if not (yield from self.stat(name, "_layers", digest_of(layer))):
                yield from self.upload(name, layer)
        return (yield from self.put_manifest(name, pushed, tag))

    def put_manifest(self, name: str, pushed: Image, tag: str) -> Steps:
        for layer in pushed.layers:
            if not (yield from self.stat(name, "_layers", digest_of(layer))):
                return False
        for child in pushed.children:
            if not (yield from self.stat(name, "_manifests/revisions", child.digest)):
                return False
        yield
        if self.objects.head(blob_key(pushed.digest)) is None:
            yield
            self.objects.put(blob_key(pushed.digest), pushed.manifest)
        self.known.add((name, pushed.digest))
        self.exists.add(pushed.digest)
        yield
        link = pushed.digest.encode()
        self.objects.put(link_key(name, "_manifests/revisions", pushed.digest), link)
        if tag:
            yield
            self.objects.put(tag_key(name, tag, pushed.digest), link)
            yield
            self.objects.put(tag_key(name, tag), link)
        return True

    def manifest(self, name: str, digest: str) -> Steps:
        """GET or HEAD of a manifest: its content, or None."""
        if not (yield from self.stat(name, "_manifests/revisions", digest)):
            return None
        yield
        return self.objects.get(blob_key(digest))

    def pull(self, name: str, pulled: Image, tag: str = "") -> Steps:
        """Return what is wrong with an image; empty if it is whole."""
        if tag:
            yield
            if self.objects.get(tag_key(name, tag)) != pulled.digest.encode():
                return f"{tag} does not name it"
        if (yield from self.manifest(name, pulled.digest)) != pulled.manifest:
            return "no manifest"
        for layer in pulled.layers:
            if not (yield from self.stat(name, "_layers", digest_of(layer))):
                return "layer unknown"
            yield
            if self.objects.get(blob_key(digest_of(layer))) != layer:
                return "layer cut short"
        for child in pulled.children:
            if wrong := (yield from self.pull(name, child)):
                return f"child: {wrong}"
        return ""

    def delete(self, name: str, kind: str, digest: str) -> Steps:
        """DELETE of a manifest or blob by digest: the status."""
        if not (yield from self.stat(name, kind, digest)):
            return 404
        self.known.discard((name, digest))
        yield
        if link_key(name, kind, digest) not in self.objects.stored:
            return 500
        self.objects.delete(link_key(name, kind, digest))
        if kind == "_manifests/revisions":
            tags = f"{ROOT}repositories/{name}/_manifests/tags/"
            for tag in sorted({x.key[len(tags) :].split("/")[0] for x in self.objects.list(tags)}):
                yield
                if self.objects.get(tag_key(name, tag)) == digest.encode():
                    yield from self.delete_tag(name, tag)
        return 202

    def delete_tag(self, name: str, tag: str) -> Steps:
        yield
        for entry in list(self.objects.list(f"{ROOT}repositories/{name}/_manifests/tags/{tag}/")):
            self.objects.delete(entry.key)


def done(steps: Steps) -> Any:
    """Run all steps, and return the result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


class FakePods(Pods):
    """Pods of the model; each request of the collection to one is a step like any other."""

    def __init__(self, pods: list[Pod]) -> None:
        self.pods = pods
        self.reachable = True

    def forget(self, objects: Objects, memories: Iterable[Memory]) -> None:
        assert isinstance(objects, FakeBucket)
        for pod in self.pods:
            for memory in memories:
                if not self.reachable:
                    raise ForgetError("no route")
                repository, digest = memory
                objects.before("FORGET", digest)
                link = link_key(repository, REVISIONS, digest)
                assert link not in objects.stored, "a manifest would be deleted"
                pod.known.discard(memory)


TIMES = Times(keep=1000, grace=500)
STEP_SECONDS = 600
"""From run to run: so that each step of the collection takes one."""


@dataclass
class World:
    """A bucket, two pods that work on it, and the collection.

    Attributes:
        objects: The bucket.
        pods: The pods.
        forgetting: The pods, as the collection sees them.
        retention: The rules.
    """

    retention: Retention = field(default_factory=Retention)
    objects: FakeBucket = field(default_factory=FakeBucket)
    pods: list[Pod] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pods = self.pods or [Pod(self.objects), Pod(self.objects)]
        self.forgetting = FakePods(self.pods)

    def copy(self) -> World:
        """Return a world that is like this one, and goes its own way."""
        other = World(self.retention)
        other.objects.stored = dict(self.objects.stored)
        other.objects.modified, other.objects.clock = (
            dict(self.objects.modified),
            self.objects.clock,
        )
        for pod, mine in zip(other.pods, self.pods, strict=True):
            pod.known, pod.exists = set(mine.known), set(mine.exists)
        return other

    def collect(self, times: Times = TIMES) -> Collection:
        """Advance the clock, and do one run."""
        self.objects.clock += STEP_SECONDS
        state, references = load(self.objects), References(self.objects)
        walk = Walk(self.objects, references, young_seconds=times.keep)
        references.save(walk.blobs.keys())
        assert not state.clock.advance(walk.now, walk.now)
        collection = Collection(self.objects, walk, state, self.forgetting, self.retention, times)
        collection.run()
        return collection

    def broken(self, name: str, pulled: Image, tag: str = "") -> str:
        """Return what is wrong with an image, as a new pod and those that are there see it."""
        pods = [Pod(self.objects), *self.pods]
        return next(filter(None, (done(pod.pull(name, pulled, tag)) for pod in pods)), "")

    def has(self, content: bytes) -> bool:
        return blob_key(digest_of(content)) in self.objects.stored
