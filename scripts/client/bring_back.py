"""Bring images back: look whether all of each is there, write what is missing, and read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from scripts.maintenance.history import RESTORED, Gone, History, Restored, load_restored
from scripts.maintenance.keys import (
    DIGEST,
    LAYERS,
    REVISIONS,
    blob_key,
    link_key,
    swept_key,
    tag_key,
)
from scripts.maintenance.references import MANIFEST_BYTES, Manifest, matches, read_manifest
from scripts.maintenance.remembered import write
from scripts.maintenance.state import State
from scripts.shared.objects import Objects, StorageError
from scripts.shared.registry_client import Registry, RegistryError

BATCH_TAGS = 1000
BATCH_SECONDS = 600
"""How long the links of that many tags may take to be written. A push of the same image within that
time does not count as one."""

TRIES = 5
"""How often to try to write what others write, too."""


class RestoreError(Exception):
    """Something cannot be brought back; says why."""


@dataclass
class Parts:
    """What an image consists of.

    Attributes:
        layers: Those of what is linked as a layer, each with the digest of the blob.
        copies: The blobs of which only a copy is there, with their sizes.
        odd: Why its own manifest is not understood; empty if it is.
    """

    manifests: set[str] = field(default_factory=set)
    layers: dict[str, str] = field(default_factory=dict)
    copies: dict[str, int] = field(default_factory=dict)
    odd: str = ""


class Finder:
    """Finds the parts of one image.

    Whoever may push can refer to anything, and could read it if it were linked for that. So a link
    is written only where something shows that the repository had it.
    """

    def __init__(self, objects: Objects, state: State, repository: str) -> None:
        self._objects, self._state, self._repository = objects, state, repository
        self._sizes: dict[str, int | None] = {}
        self.parts = Parts()

    def find(self, digest: str) -> Parts:
        """Return what an image consists of.

        Raises:
            RestoreError: Something that it needs is gone, or was never there, or is no manifest.
        """
        if self._require("the manifest", digest) > MANIFEST_BYTES:
            raise RestoreError(f"{digest} is larger than any manifest")
        left, seen = [(digest, True)], set()
        while left:
            one, is_child = left.pop()
            if one not in seen:
                seen.add(one)
                left += self._add(one, is_child)
        return self.parts

    def _add(self, digest: str, is_child: bool) -> Iterator[tuple[str, bool]]:
        """Add a manifest, or what may be one; yield what may be some, and whether they must be.

        An entry of an index may be a layer, whatever it says, and what an odd manifest names may be
        anything: what looks like both becomes both.
        """
        size = self._require("its manifest", digest)
        content = b"" if size > MANIFEST_BYTES else self._content(digest)
        manifest = read_manifest(content)
        if is_child and size <= MANIFEST_BYTES and not matches(content, digest):
            raise RestoreError(f"the manifest {digest} is damaged")
        is_root = not self.parts.manifests
        is_manifest = is_root or (
            size <= MANIFEST_BYTES
            and (is_child or bool(manifest.names))
            and self._was_manifest(digest, manifest)
        )
        if is_root:
            self.parts.odd = manifest.odd
        elif manifest.odd or not is_manifest:
            self._add_layer(digest, digest, needed=is_child and not is_manifest)
        if not is_manifest:
            return
        self.parts.manifests.add(digest)
        self._add_layers(manifest)
        yield from ((child, True) for child in manifest.children)
        for other in filter(self._is_there, manifest.others):
            # Of what a manifest only mentions, the content is enough.
            if manifest.odd:
                yield other, False

    def _add_layers(self, manifest: Manifest) -> None:
        for layer in manifest.layers:
            blob = self._blob_of(layer)
            self._require("its layer", blob)
            if manifest.checked:
                self.parts.layers[layer] = blob
            else:
                self._add_layer(layer, blob, needed=True)
        # A layer with URLs may be somewhere else.
        for layer in filter(self._is_there, manifest.foreign):
            self._add_layer(layer, layer, needed=False)

    def _add_layer(self, layer: str, blob: str, *, needed: bool) -> None:
        """Add a layer that the registry has not looked for when it took the manifest."""
        if self._was_layer(layer):
            self.parts.layers[layer] = blob
        elif needed:
            raise RestoreError(self._doubt(layer))

    def _was_layer(self, digest: str) -> bool:
        unlinked = self._state.has_unlinked(self._repository, digest)
        return unlinked or self._has_link(LAYERS, digest)

    def _was_manifest(self, digest: str, manifest: Manifest) -> bool:
        """Return whether a manifest was in the repository, or says nothing that was not."""
        return self._was_linked(digest) or (
            bool(manifest.layers or manifest.children)
            and all(map(self._was_layer, manifest.layers))
            and all(map(self._was_linked, manifest.children))
        )

    def _was_linked(self, digest: str) -> bool:
        dropped = self._state.has_dropped(self._repository, digest)
        return dropped or self._has_link(REVISIONS, digest)

    def _has_link(self, kind: str, digest: str) -> bool:
        return self._objects.head(link_key(self._repository, kind, digest)) is not None

    def _doubt(self, digest: str) -> str:
        return (
            f"nothing shows that {digest}, which it refers to, was ever in {self._repository}; "
            "if it may be read there, push the image again"
        )

    def _blob_of(self, layer: str) -> str:
        """Return the digest of a layer's blob, which may be of another algorithm."""
        if layer.startswith("sha256:"):
            return layer
        link = self._objects.get(link_key(self._repository, LAYERS, layer)) or b""
        content = link.decode(errors="replace")
        return content if DIGEST.fullmatch(content) else layer

    def _require(self, what: str, digest: str) -> int:
        size = self._size(digest)
        if size is None:
            raise RestoreError(f"{what} {digest} is not in the bucket")
        return size

    def _is_there(self, digest: str) -> bool:
        return self._size(digest) is not None

    def _size(self, digest: str) -> int | None:
        """Return a blob's size, and note it if only its copy is there; None if that is not."""
        if digest not in self._sizes:
            entry = self._objects.head(blob_key(digest))
            if not entry and (entry := self._objects.head(swept_key(digest))):
                self.parts.copies[digest] = entry.size
            self._sizes[digest] = entry.size if entry else None
        return self._sizes[digest]

    def _content(self, digest: str) -> bytes:
        key = swept_key(digest) if digest in self.parts.copies else blob_key(digest)
        return self._objects.get(key) or b""


def bring_back(
    objects: Objects, history: History, parts: Iterable[tuple[str, Parts]], tags: list[Gone]
) -> None:
    """Write all that is missing: content, links, and then tags."""
    copies: dict[str, int] = {}
    layers: dict[str, str] = {}
    manifests: dict[str, str] = {}
    for name, image in parts:
        copies.update(image.copies)
        layers.update({link_key(name, LAYERS, x): blob for x, blob in image.layers.items()})
        manifests.update({link_key(name, REVISIONS, x): x for x in image.manifests})
    objects.each(lambda x: objects.copy(swept_key(x), blob_key(x), copies[x]), copies)
    _put_all(objects, layers)
    _put_all(objects, manifests)
    for start in range(0, len(tags), BATCH_TAGS):
        batch = tags[start : start + BATCH_TAGS]
        pins = [(x.repository, x.tag, Restored(x.digest, x.pushed, 0)) for x in batch]
        until = objects.now + BATCH_SECONDS
        _pin(objects, history, pins, until)
        _put_all(objects, {tag_key(x.repository, x.tag, x.digest): x.digest for x in batch})
        _put_all(objects, {tag_key(x.repository, x.tag): x.digest for x in batch})
        # Another command may have overwritten it meanwhile, and all may have taken long.
        _pin(objects, history, pins, max(until, objects.now))


def _put_all(objects: Objects, links: dict[str, str]) -> None:
    objects.each(lambda key: objects.put(key, links[key].encode()), links)


def _pin(
    objects: Objects, history: History, pins: list[tuple[str, str, Restored]], until: float
) -> None:
    """Note when tags were pushed that are brought back; forget what no tag names any more."""
    ours = [(name, tag, pin._replace(written=until)) for name, tag, pin in pins]
    for _ in range(TRIES):
        before = objects.head(RESTORED)
        restored = load_restored(objects)
        if all(restored.get(name, {}).get(tag) == pin for name, tag, pin in ours):
            return
        for name, tag, pin in ours:
            restored.setdefault(name, {})[tag] = pin
        kept = {
            name: {tag: pin for tag, pin in tags.items() if _counts(history, name, tag, pin)}
            for name, tags in restored.items()
        }
        now = objects.head(RESTORED)
        if (now and now.etag) == (before and before.etag):
            write(objects, RESTORED, {name: tags for name, tags in kept.items() if tags})
    raise StorageError(
        f"{RESTORED} changes all the time: somebody else brings tags back; try again"
    )


def _counts(history: History, repository: str, tag: str, pin: Restored) -> bool:
    """Return whether a tag still names what was brought back, as far as runs have seen it."""
    named = history.tags.get(repository, {}).get(tag)
    return pin.written >= history.time or (named is not None and named.digest == pin.digest)


def read(
    objects: Objects,
    registry: Registry,
    parts: Iterable[tuple[str, Parts]],
    tags: Iterable[Gone],
) -> None:
    """Read through the registry what was brought back: manifests, and a byte of each layer.

    Raises:
        RestoreError: Something cannot be read.
    """
    paths = {
        f"v2/{name}/{kind}/{digest}": kind
        for name, image in parts
        for kind, digests in (("blobs", image.layers), ("manifests", image.manifests))
        for digest in digests
    }

    def get(path: str) -> None:
        if paths[path] == "blobs":
            registry.read_byte(path)
        else:
            registry.call("GET", path, [200])

    def ask(tag: Gone) -> str:
        path = f"v2/{tag.repository}/manifests/{tag.tag}"
        response = registry.call("HEAD", path, [200])
        digest = response.headers.get("docker-content-digest")
        return "" if digest == tag.digest else f"{tag.repository}:{tag.tag} names {digest}"

    try:
        objects.each(get, paths)
        problems = list(filter(None, objects.each(ask, tags)))
    except (RegistryError, OSError) as error:
        raise RestoreError(f"all of it is written, but cannot be read: {error}") from error
    if problems:
        raise RestoreError(f"all of it is written, but {problems[0]}")
