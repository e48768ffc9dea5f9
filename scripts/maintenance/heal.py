"""Restore what was pushed again while it was being deleted, and list what is lost.

Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from scripts.maintenance.collection_plan import needed
from scripts.maintenance.collection_state import State
from scripts.maintenance.images import lost, tagged
from scripts.maintenance.retention import Decision
from scripts.maintenance.walk import Walk, blob_key, link_key, swept_key, tag_key
from scripts.shared.objects import Objects


class Health(NamedTuple):
    """What became of what is needed.

    Attributes:
        decisions: What stays, by repository.
        healed: What was given back.
        lost: What an image needs and is nowhere.
    """

    decisions: Mapping[str, Decision]
    healed: list[str]
    lost: list[str]


def heal(
    objects: Objects,
    walk: Walk,
    state: State,
    decide: Callable[[], Mapping[str, Decision]],
    unlinked: Iterable[str],
) -> Health:
    """Restore what is needed and was deleted.

    A push that is under way can refer to a blob or link that was deleted just after it asked for
    it. So blobs come back from their copies, and links from what is remembered of them.

    Args:
        objects: The bucket.
        walk: What is in it; what comes back is noted.
        state: What is remembered.
        decide: Decides what stays, by what the walk says at that time.
        unlinked: Manifests whose links were just deleted; none was in the bucket before.
    """
    _note_new(objects, walk, unlinked)
    healed = _heal_tags(objects, walk, state) + _heal_manifests(objects, walk, state)
    _note_linked(objects, walk)
    while True:
        decisions = decide()
        layers = {x for repository in walk.repositories.values() for x in repository.layers}
        wanted = layers | needed(walk, decisions, 0)
        _note_new(objects, walk, wanted - walk.blobs.keys())
        back = (wanted - walk.blobs.keys()) & walk.swept.keys()
        if not back:
            break
        objects.each(lambda digest: _copy_back(objects, walk, digest), back)
        healed += [f"blob {digest}" for digest in sorted(back)]
        kept = {digest for decision in decisions.values() for digest in decision.kept}
        walk.read_manifests(back & kept)
        healed += _heal_manifests(objects, walk, state)
    healed += _heal_layers(objects, walk, decisions)
    return Health(decisions, healed, [*lost(walk), *_unreadable(walk, decisions)])


def _note_new(objects: Objects, walk: Walk, digests: Iterable[str]) -> None:
    """Note those blobs that were pushed since the walk began."""

    def note(digest: str) -> None:
        if entry := objects.head(blob_key(digest)):
            walk.blobs[digest] = entry.size

    objects.each(note, digests)


def _note_linked(objects: Objects, walk: Walk) -> None:
    """Note the manifests of tags that were pushed while the bucket was listed.

    A list has pages, and that of a manifest's link comes before that of its tag: so of a push in
    between only the tag was seen.
    """

    def note(name: str, digest: str) -> None:
        if entry := objects.head(link_key(name, "_manifests/revisions", digest)):
            walk.repositories[name].revisions[digest] = entry.modified

    seen: set[tuple[str, str]] = set()
    while missing := _not_linked(walk) - seen:
        seen |= missing
        objects.each(lambda manifest: note(*manifest), missing)
        # They may hold others, which were pushed before them.
        walk.read_manifests(digest for _, digest in missing)


def _not_linked(walk: Walk) -> set[tuple[str, str]]:
    return {
        (name, digest)
        for name, repository in walk.repositories.items()
        for digest in tagged(name, walk)
        if digest not in repository.revisions
    }


def _copy_back(objects: Objects, walk: Walk, digest: str) -> None:
    copy = walk.swept[digest]
    objects.copy(swept_key(digest), blob_key(digest), copy.size)
    walk.blobs[digest], walk.recent[digest] = copy.size, objects.now


def _heal_tags(objects: Objects, walk: Walk, state: State) -> list[str]:
    """Restore tags that were pushed while they were deleted: what they have named is newer."""
    healed = []
    for name, tags in state.retired.items():
        for tag, moment in tags.items():
            dead = walk.repositories[name].dead_tags
            if tag in dead and dead[tag].modified >= moment:
                objects.put(tag_key(name, tag), dead[tag].digest.encode())
                walk.repositories[name].tags[tag] = dead.pop(tag)
                healed.append(f"tag {name}:{tag}")
    return healed


def _heal_manifests(objects: Objects, walk: Walk, state: State) -> list[str]:
    """Restore the links of manifests that are there: they went after the manifests did.

    So these were pushed again, or something needed them.
    """
    healed = []
    for digest, unlinked in state.unlinked.items():
        for name, kind in unlinked.links if digest in walk.blobs else ():
            revisions = walk.repositories[name].revisions
            if kind == "_manifests/revisions" and digest not in revisions:
                objects.put(link_key(name, kind, digest), digest.encode())
                revisions[digest] = objects.now
                healed.append(f"link of manifest {name}@{digest}")
    return healed


def _heal_layers(objects: Objects, walk: Walk, decisions: Mapping[str, Decision]) -> list[str]:
    """Restore the links of layers that are needed."""
    healed = []
    for name, decision in decisions.items():
        linked = walk.repositories[name].layers
        for digest in decision.kept:
            manifest = walk.manifests.get(digest)
            for layer in manifest.layers if manifest else ():
                if layer not in linked and layer in walk.blobs:
                    key = link_key(name, "_layers", layer)
                    # It is written in any case. If it is there, a push was faster than the list.
                    if not objects.head(key):
                        healed.append(f"link of layer {name}@{layer}")
                    objects.put(key, layer.encode())
                    linked.add(layer)
    return healed


def _unreadable(walk: Walk, decisions: Mapping[str, Decision]) -> list[str]:
    """Return the manifests without a tag of which nobody can know what they need."""
    return [
        f"{image}: the manifest {digest} has other content"
        for name, decision in decisions.items()
        for digest, image in decision.kept.items()
        if digest in walk.damaged and digest not in tagged(name, walk)
    ]
