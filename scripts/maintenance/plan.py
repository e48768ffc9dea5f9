"""What the collection does in one run: which tags, links and blobs go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from scripts.maintenance.clock import DAY, Clock
from scripts.maintenance.keys import tag_key
from scripts.maintenance.repository import Repository
from scripts.maintenance.retention import Decision
from scripts.maintenance.state import State, Sums, Unlinked
from scripts.maintenance.walk import Walk

MOST_BLOBS = 50_000
"""How many links and blobs one run deletes at most. At 30 ms a request that takes 7 minutes, of the
55 that a run has; what is left goes in the next run."""

UPLOAD_SECONDS = 2 * 3600
"""How long an upload that began counts as one under way. The layers that its client has asked for
are in no list until it has sent the rest."""


class Times(NamedTuple):
    """How long things take, in seconds.

    Attributes:
        keep: How long what nothing needs can be restored.
        grace: What no request can take.
    """

    keep: float
    grace: float = DAY


@dataclass
class Plan:
    """What goes.

    Attributes:
        tags: Tags that expired, by repository.
        dead_tags: Tags that were deleted a while ago, and of which the history is left.
        unlink_layers: Links of layers, as repositories and digests, for pods to forget.
        unlink_manifests: Links of manifests, likewise.
        forget: Layers that pods are to forget, before anything else is done about them.
        sweep: Blobs to delete.
        rest: Keys of what nobody can need: uploads that nobody can go on with, copies, and what
            tags named long ago.
        begun: How much of it goes for the first time, with what only those tags needed. What was
            unlinked before is not counted again.
        waiting: How many blobs could go by now, and do not.
    """

    tags: dict[str, set[str]] = field(default_factory=dict)
    dead_tags: list[tuple[str, str]] = field(default_factory=list)
    unlink_layers: list[tuple[str, str]] = field(default_factory=list)
    unlink_manifests: list[tuple[str, str]] = field(default_factory=list)
    forget: list[str] = field(default_factory=list)
    sweep: set[str] = field(default_factory=set)
    rest: list[str] = field(default_factory=list)
    begun: Sums = field(default_factory=Sums)
    waiting: int = 0


def needed(walk: Walk, decisions: Mapping[str, Decision]) -> set[str]:
    """Return all blobs that are needed, or are not understood."""
    wanted = {*walk.aliases, *walk.aliases.values()}
    revisions = {digest for x in walk.repositories.values() for digest in x.revisions}
    for name, decision in decisions.items():
        # Of what is a manifest, too, no pod can be made to forget.
        wanted |= walk.repositories[name].layers & revisions
        wanted.update(decision.kept)
        if decision.all:
            wanted |= walk.repositories[name].layers
        for digest in decision.kept:
            if manifest := walk.manifests.get(digest):
                wanted.update(manifest.names)
    return wanted


def recent(walk: Walk, clock: Clock, grace: float) -> set[str]:
    """Return the blobs that were written within the grace."""
    return {x for x, modified in walk.recent.items() if clock.age(modified) < grace}


def plan(walk: Walk, state: State, decisions: Mapping[str, Decision], times: Times) -> Plan:
    """Decide what goes, and note in the state since when it is unneeded.

    Layers go in three steps: after `keep` their links, so that who pushes them again must upload
    them; then every pod forgets them; `grace` later the blobs. Of manifests the blob goes first,
    since who pushes one again writes it again; `grace` later the links. No pod remembers those.
    """
    result, age = Plan(), state.clock.age
    wanted = needed(walk, decisions) | recent(walk, state.clock, times.grace)
    unneeded = {digest: walk.recent.get(digest, 0) for digest in walk.blobs if digest not in wanted}
    layers: dict[str, list[str]] = defaultdict(list)
    revisions: dict[str, list[str]] = defaultdict(list)
    for name, repository in walk.repositories.items():
        for digest in repository.layers - wanted:
            layers[digest].append(name)
            unneeded.setdefault(digest, walk.recent.get(digest, 0))
        for digest in repository.revisions.keys() - wanted:
            revisions[digest].append(name)
            pushed = repository.revisions[digest]
            unneeded[digest] = max(unneeded.get(digest, 0), pushed)
    first = unneeded.keys() - state.unneeded.keys()
    state.unneeded = {
        digest: max(state.unneeded.get(digest, walk.now), written)
        for digest, written in unneeded.items()
    }
    # A manifest may be there again, since another repository has pushed it, and not its layers.
    named = {
        digest
        for name in {name for x in state.unlinked.values() for name in x.repositories}
        for manifest in walk.repositories.get(name, Repository()).revisions
        if manifest in walk.manifests
        for digest in walk.manifests[manifest].names
    }
    state.unlinked = {
        digest: Unlinked(names, unlinked.forgotten)
        for digest, unlinked in state.unlinked.items()
        # Until no request can be that old, it is the proof that a link may be given back.
        if digest in walk.swept
        or digest in state.unneeded
        or digest in named
        or not _past(unlinked.forgotten, state.clock, times.keep + times.grace)
        # A link that is there again was pushed again.
        if (names := [x for x in unlinked.repositories if not _links(walk, x, digest)])
    }
    state.dropped = {
        name: {x: moment for x, moment in dropped.items() if age(moment) < times.keep + times.grace}
        for name, dropped in state.dropped.items()
        if name in walk.repositories
    }
    busy = _busy(walk, state.clock)
    due = {x: since for x, since in state.unneeded.items() if age(since) >= times.keep}
    # What a manifest that is still there refers to waits for it to go.
    held = {x for manifest in walk.manifests.values() for x in manifest.names if x in due}
    for digest, since in sorted(due.items(), key=lambda item: item[1]):
        unlinked = state.unlinked.get(digest)
        if len(result.sweep) + len(result.unlink_layers) >= MOST_BLOBS:
            result.waiting += 1
        elif digest in revisions:
            copied = walk.swept[digest].modified if digest in walk.swept else 0
            if digest in walk.blobs:
                result.sweep.add(digest)
            elif age(copied) >= times.grace:
                result.unlink_manifests += [(name, digest) for name in revisions[digest]]
        elif digest in held:
            continue
        elif digest in layers:
            if busy & {*layers[digest]} and age(since) < times.keep + times.grace:
                result.waiting += 1
            else:
                result.unlink_layers += [(name, digest) for name in layers[digest]]
        elif not unlinked or _past(unlinked.forgotten, state.clock, times.grace):
            result.sweep.add(digest)
    result.forget = [x for x, unlinked in state.unlinked.items() if not unlinked.forgotten]
    result.tags = {name: decision.expired for name, decision in decisions.items()}
    tags = sum(map(len, result.tags.values()))
    new = {x for x in due if x not in state.unlinked} | (first if tags else set())
    new &= walk.blobs.keys()
    result.begun = Sums(
        tags=tags,
        manifests=sum(x in revisions for x in new),
        blobs=len(new),
        size=sum(walk.blobs[x] for x in new),
    )
    _plan_rest(result, walk, state, times, {*layers, *revisions})
    return result


def _links(walk: Walk, name: str, digest: str) -> bool:
    return digest in walk.repositories.get(name, Repository()).layers


def _past(moment: float, clock: Clock, seconds: float) -> bool:
    """Return whether something has happened, and that long ago."""
    return moment > 0 and clock.age(moment) >= seconds


def _busy(walk: Walk, clock: Clock) -> set[str]:
    """Return the repositories to which something is being uploaded."""
    return {
        name
        for name, repository in walk.repositories.items()
        if any(clock.age(moment) < UPLOAD_SECONDS for moment in repository.started.values())
    }


def _plan_rest(result: Plan, walk: Walk, state: State, times: Times, linked: set[str]) -> None:
    """Add what is left of tags, copies and uploads."""
    age = state.clock.age
    state.retired = {
        name: {
            tag: moment
            for tag, moment in tags.items()
            if name in walk.repositories and tag in walk.repositories[name].dead_tags
        }
        for name, tags in state.retired.items()
    }
    result.dead_tags = [
        (name, tag)
        for name, tags in state.retired.items()
        for tag, moment in tags.items()
        if age(moment) >= times.grace
    ]
    result.rest = [
        entry.key
        for digest, entry in walk.swept.items()
        if age(entry.modified) >= times.keep
        and digest not in result.sweep
        and (digest in walk.blobs or digest not in linked)
        and (
            digest not in state.unlinked
            or _past(state.unlinked[digest].forgotten, state.clock, times.grace)
        )
    ]
    for name, repository in walk.repositories.items():
        for upload, (keys, latest) in repository.uploads.items():
            if upload not in repository.started and age(latest) >= times.grace:
                result.rest += keys
        # Nobody reads these: the maintenance remembers itself what tags named.
        for key, (tag, modified) in repository.past.items():
            named = repository.tags.get(tag)
            current = not named or key == tag_key(name, tag, named.digest)
            if not current and age(modified) >= times.grace:
                result.rest.append(key)
