"""Restore what is needed and is not there, and list what is lost.

A push that is under way can refer to a blob or link that was deleted just after it asked for it,
and a client can delete what an image still needs. What an image needs and the bucket has is given
back: blobs from their copies, links wherever they belong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from scripts.maintenance.images import Lost, lost
from scripts.maintenance.keys import (
    DIGEST,
    LAYERS,
    REVISIONS,
    blob_key,
    link_key,
    swept_key,
    tag_key,
)
from scripts.maintenance.references import Manifest
from scripts.maintenance.repository import Repository
from scripts.maintenance.retention import Decision
from scripts.maintenance.state import State
from scripts.maintenance.walk import Walk
from scripts.shared.objects import Objects

SETTLE_SECONDS = 60
"""How long to wait before something counts as missing. While the registry deletes an image, its
tags name it for some seconds more."""

Link = tuple[str, str, str]
"""A repository, a kind of links, and a digest."""


class Health(NamedTuple):
    """What became of what is needed.

    Attributes:
        decisions: What stays, by repository.
        repaired: What was given back.
        lost: What an image needs and is nowhere.
    """

    decisions: Mapping[str, Decision]
    repaired: list[str]
    lost: list[Lost]


def repair(
    objects: Objects, walk: Walk, state: State, decide: Callable[[], Mapping[str, Decision]]
) -> Health:
    """Restore what is needed and was deleted.

    Args:
        walk: What is in it; what comes back is noted.
        decide: Decides what stays, by what the walk says at that time.
    """
    repaired = _repair_tags(objects, walk, state)
    settled, foreign = False, set[Link]()
    while True:
        decisions = decide()
        back = _find_blobs(objects, walk, _missing_blobs(walk, decisions))
        objects.each(lambda digest: _copy_back(objects, walk, digest), back)
        repaired += [f"blob {digest}" for digest in sorted(back)]
        kept = {digest for decision in decisions.values() for digest in decision.kept}
        if unread := (kept & walk.blobs.keys()) - walk.manifests.keys():
            # What comes back says what else must.
            walk.read_manifests(unread)
            continue
        links = {
            link: image for link, image in _missing_links(walk, decisions) if link not in foreign
        }
        own = {link for link in links if _was_there(walk, state, link)} | _checked(walk, links)
        if layers := {link for link in own if link[1] == LAYERS}:
            # No client deletes these.
            repaired += _write_links(objects, walk, layers)
            continue
        losses = list(lost(walk))
        doubtful = {image for (_, kind, _), image in links.items() if kind == REVISIONS}
        doubtful |= {x.image for x in losses}
        if doubtful and not settled:
            settled = True
            time.sleep(SETTLE_SECONDS)
            objects.each(lambda image: _ask_for_tag(objects, walk, image), doubtful)
            continue
        foreign |= links.keys() - own
        objects.each(lambda link: _note_link(walk, link), foreign & links.keys())
        repaired += _write_links(objects, walk, own)
        if not back and not links:
            return Health(decisions, repaired, losses)


def _missing_blobs(walk: Walk, decisions: Mapping[str, Decision]) -> set[str]:
    """Return the blobs that are needed, or linked as layers, and are not known to be there."""
    missing = {x for each in walk.repositories.values() for x in each.layers if x not in walk.blobs}
    for decision in decisions.values():
        for digest in decision.kept:
            manifest = walk.manifests.get(digest)
            parts = manifest.layers + manifest.children if manifest else ()
            # Of what a manifest only mentions, nothing says that it was ever there.
            mentioned = (x for x in (manifest.names if manifest else ()) if x in walk.swept)
            missing.update(x for x in (digest, *parts, *mentioned) if x not in walk.blobs)
    return missing


def _find_blobs(objects: Objects, walk: Walk, missing: Iterable[str]) -> list[str]:
    """Note blobs that were pushed since the walk began, and return those that have copies only."""

    def find(digest: str) -> str:
        if entry := walk.find(blob_key(digest)):
            walk.blobs[digest] = entry.size
        elif digest not in walk.swept and (copy := walk.find(swept_key(digest))):
            walk.swept[digest] = copy
        return "" if entry or digest not in walk.swept else digest

    return list(filter(None, objects.each(find, missing)))


def _copy_back(objects: Objects, walk: Walk, digest: str) -> None:
    copy = walk.swept[digest]
    objects.copy(swept_key(digest), blob_key(digest), copy.size)
    walk.blobs[digest], walk.recent[digest] = copy.size, walk.now


def _repair_tags(objects: Objects, walk: Walk, state: State) -> list[str]:
    """Restore tags that were pushed while they were deleted: what they have named is newer."""
    repaired = []
    for name, tags in state.retired.items():
        for tag, moment in tags.items():
            dead = walk.repositories[name].dead_tags
            if tag in dead and dead[tag].modified >= moment:
                objects.put(tag_key(name, tag), dead[tag].digest.encode())
                walk.repositories[name].tags[tag] = dead.pop(tag)
                repaired.append(f"tag {name}:{tag}")
    return repaired


def _ask_for_tag(objects: Objects, walk: Walk, image: str) -> None:
    """Note what a tag names now, if an image is one of a tag."""
    name, _, tag = image.rpartition(":")
    if "@" in name:
        return
    digest = (objects.get(tag_key(name, tag)) or b"").decode(errors="replace")
    tags = walk.repositories[name].tags
    if not digest:
        tags.pop(tag, None)
    elif tag in tags and DIGEST.fullmatch(digest):
        tags[tag] = tags[tag]._replace(digest=digest)
        walk.read_manifests([digest])


def _missing_links(walk: Walk, decisions: Mapping[str, Decision]) -> Iterator[tuple[Link, str]]:
    """Yield the links of what is needed, is in the bucket, and is not linked, with its image."""
    for name, decision in decisions.items():
        repository = walk.repositories[name]
        for digest, image in decision.kept.items():
            if digest in walk.blobs and digest not in repository.revisions:
                yield (name, REVISIONS, digest), image
            manifest = walk.manifests.get(digest)
            for layer in manifest.blobs if manifest else ():
                if layer in walk.blobs and layer not in repository.layers:
                    yield (name, LAYERS, layer), image


def _was_there(walk: Walk, state: State, link: Link) -> bool:
    """Return whether there is proof that a repository had what an image in it refers to.

    Whoever may push can refer to anything, and could read it if it were linked for that: a layer
    with URLs, or an entry of an index of layers, is not looked for when it is pushed. But the
    collection knows where it has deleted a link; a tag names nothing that was not pushed to its
    repository; and of a manifest whose layers are there, nothing is left to be read.
    """
    name, kind, digest = link
    if kind == LAYERS:
        return state.has_unlinked(name, digest)
    repository = walk.repositories[name]
    return (
        state.has_dropped(name, digest)
        or any(tag.digest == digest for tag in repository.tags.values())
        or _is_whole(walk, repository, digest)
    )


def _checked(walk: Walk, links: Iterable[Link]) -> set[Link]:
    """Return the links of layers for which the registry has looked when it took an image.

    That it has taken it in this repository is what the image's own link or tag shows.
    """
    wanted = {link for link in links if link[1] == LAYERS}
    taken: dict[str, set[str]] = {}
    for name in {name for name, _, _ in wanted}:
        repository = walk.repositories[name]
        manifests = {*repository.revisions, *(tag.digest for tag in repository.tags.values())}
        known = (walk.manifests[x] for x in manifests if x in walk.manifests)
        taken[name] = {layer for x in known if x.checked for layer in x.layers}
    return {link for link in wanted if link[2] in taken[link[0]]}


def _is_whole(walk: Walk, repository: Repository, digest: str) -> bool:
    """Return whether a repository has all that a manifest is made of."""
    manifest = walk.manifests.get(digest, Manifest())
    return (
        bool(manifest.layers or manifest.children)
        and all(layer in repository.layers for layer in manifest.layers)
        and all(
            x in repository.revisions or _is_whole(walk, repository, x) for x in manifest.children
        )
    )


def _write_links(objects: Objects, walk: Walk, links: Iterable[Link]) -> list[str]:
    """Write links, and return what was given back."""

    def write(link: Link) -> str:
        name, kind, digest = link
        there = _note_link(walk, link)
        # A layer's in any case: a pod that is asked to forget it may be deleting it.
        if not there or kind == LAYERS:
            objects.put(link_key(*link), digest.encode())
        if there:
            return ""
        _add_link(walk, link, walk.now)
        return f"link of {'layer' if kind == LAYERS else 'manifest'} {name}@{digest}"

    return list(filter(None, objects.each(write, links)))


def _note_link(walk: Walk, link: Link) -> bool:
    """Note a link that a push has written since it was listed, and return whether it is there."""
    if entry := walk.find(link_key(*link)):
        _add_link(walk, link, entry.modified)
    return entry is not None


def _add_link(walk: Walk, link: Link, modified: float) -> None:
    name, kind, digest = link
    repository = walk.repositories[name]
    if kind == LAYERS:
        repository.layers.add(digest)
    else:
        repository.revisions[digest] = modified
