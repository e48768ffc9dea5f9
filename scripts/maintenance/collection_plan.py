"""What the collection does in one run: which tags, links and blobs go.

Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from scripts.maintenance.collection_state import State, Unlinked
from scripts.maintenance.registry_pods import Memory
from scripts.maintenance.retention import DAY, Decision
from scripts.maintenance.walk import Repository, Walk

MOST_BLOBS = 5000
"""How many blobs one run unlinks and sweeps at most, so that it ends before the next one."""


class Times(NamedTuple):
    """How long things take, in seconds.

    Attributes:
        keep: How long what nothing needs can be restored.
        grace: What no request can take.
        quiet: How long nothing must have been pushed.
        patience: How long to wait for that.
    """

    keep: float
    grace: float = DAY
    quiet: float = 600
    patience: float = 7 * DAY


@dataclass
class Plan:
    """What goes.

    Attributes:
        tags: Tags that expired, by repository.
        dead_tags: Tags that were deleted a while ago, and of which the history is left.
        unlink: Links, and with them blobs for pods to forget.
        forget: Blobs that pods are to forget, before anything else is done about them.
        sweep: Blobs to delete.
        uploads: Keys of uploads that nobody can go on with.
        copies: Copies that nobody can need any more.
    """

    tags: dict[str, set[str]] = field(default_factory=dict)
    dead_tags: list[tuple[str, str]] = field(default_factory=list)
    unlink: list[Memory] = field(default_factory=list)
    forget: list[Memory] = field(default_factory=list)
    sweep: set[str] = field(default_factory=set)
    uploads: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)


def needed(walk: Walk, decisions: Mapping[str, Decision], grace: float) -> set[str]:
    """Return all blobs that are needed, were written lately, or are not understood."""
    wanted = {*walk.aliases, *walk.aliases.values()}
    wanted.update(x for x, modified in walk.recent.items() if walk.now - modified < grace)
    layers: set[str] = set()
    revisions: set[str] = set()
    for name, decision in decisions.items():
        layers |= walk.repositories[name].layers
        revisions.update(walk.repositories[name].revisions)
        wanted.update(decision.kept)
        for digest in decision.kept:
            if manifest := walk.manifests.get(digest):
                wanted.update(manifest.layers)
                wanted.update(manifest.optional)
    # Of what is both, no pod can be made to forget.
    return wanted | layers & revisions


def plan(walk: Walk, state: State, decisions: Mapping[str, Decision], times: Times) -> Plan:
    """Decide what goes, and note in the state since when it is unneeded.

    Layers go in three steps: after `keep` their links, so that who pushes them again must upload
    them; then every pod forgets them; `grace` later the blobs. Of manifests the blob goes first,
    since who pushes one again writes it again; `grace` later the links, which pods then forget.

    Args:
        walk: What is in the bucket.
        state: What is remembered.
        decisions: What stays, by repository.
        times: How long things take.
    """
    result = Plan()
    layers: dict[str, list[str]] = defaultdict(list)
    revisions: dict[str, list[str]] = defaultdict(list)
    written: dict[str, float] = defaultdict(float)
    for name, repository in walk.repositories.items():
        for digest in repository.layers:
            layers[digest].append(name)
        for digest, pushed in repository.revisions.items():
            revisions[digest].append(name)
            written[digest] = max(written[digest], pushed)
    for digest, modified in walk.recent.items():
        written[digest] = max(written[digest], modified)
    wanted = needed(walk, decisions, times.grace)
    state.unneeded = {
        digest: max(state.unneeded.get(digest, walk.now), written[digest])
        for digest in {*walk.blobs, *layers, *revisions} - wanted
    }
    state.unlinked = {
        digest: Unlinked(links, unlinked.forgotten)
        for digest, unlinked in state.unlinked.items()
        if digest in walk.swept or digest in state.unneeded
        # A link that is there again was pushed again.
        if (links := [link for link in unlinked.links if not _linked(walk, *link, digest)])
    }
    # What a manifest that is still there refers to waits for it to go.
    held = {x for manifest in walk.manifests.values() for x in manifest.layers + manifest.optional}
    for digest, since in sorted(state.unneeded.items(), key=lambda item: item[1]):
        if walk.now - since < times.keep or len(result.sweep) + len(result.unlink) >= MOST_BLOBS:
            break
        unlinked = state.unlinked.get(digest)
        if digest in revisions:
            copied = walk.swept[digest].modified if digest in walk.swept else 0
            if digest in walk.blobs:
                result.sweep.add(digest)
            elif walk.now - copied >= times.grace:
                kind = "_manifests/revisions"
                result.unlink += [Memory(name, kind, digest) for name in revisions[digest]]
        elif digest in held:
            continue
        elif digest in layers:
            result.unlink += [Memory(name, "_layers", digest) for name in layers[digest]]
        elif not unlinked or _before(unlinked.forgotten, walk.now - times.grace):
            result.sweep.add(digest)
    result.forget = [
        Memory(name, kind, digest)
        for digest, unlinked in state.unlinked.items()
        if not unlinked.forgotten
        for name, kind in unlinked.links
    ]
    result.copies = [
        entry.key
        for digest, entry in walk.swept.items()
        if walk.now - entry.modified >= times.keep
        and digest not in result.sweep
        and (digest in walk.blobs or not (digest in revisions or digest in layers))
        and (
            digest not in state.unlinked
            or _before(state.unlinked[digest].forgotten, walk.now - times.grace)
        )
    ]
    _plan_rest(result, walk, state, decisions, times)
    return result


def _linked(walk: Walk, name: str, kind: str, digest: str) -> bool:
    repository = walk.repositories.get(name, Repository())
    return digest in (repository.layers if kind == "_layers" else repository.revisions)


def _before(moment: float, limit: float) -> bool:
    """Return whether something has happened, and not after some moment."""
    return 0 < moment <= limit


def _plan_rest(
    result: Plan, walk: Walk, state: State, decisions: Mapping[str, Decision], times: Times
) -> None:
    """Add tags that expired, what is left of those that did before, and abandoned uploads."""
    result.tags = {name: decision.expired for name, decision in decisions.items()}
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
        if walk.now - moment >= times.grace
    ]
    result.uploads = [
        key
        for repository in walk.repositories.values()
        for upload, (keys, latest) in repository.uploads.items()
        if upload not in repository.started and walk.now - latest >= times.grace
        for key in keys
    ]
