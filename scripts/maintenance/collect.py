"""Delete what no image needs, beside a registry that goes on to take pushes.

Nothing is deleted before it has been unneeded for long; of every blob that is deleted there is a
copy; and the bucket is looked at again after each step, since a push leaves traces. The reasons are
in docs/adr/0015-collection.md. Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from scripts.maintenance.collection_plan import Plan, Times, needed, plan
from scripts.maintenance.collection_state import State, Unlinked, save
from scripts.maintenance.heal import Health, heal
from scripts.maintenance.registry_pods import ForgetError, Memory, Pods
from scripts.maintenance.retention import Decision, Retention, decide
from scripts.maintenance.walk import ROOT, Walk, blob_key, link_key, swept_key, tag_key
from scripts.shared.objects import Entry, Objects


class Settings(NamedTuple):
    """How to collect.

    Attributes:
        pods: The registry's pods.
        retention: Which tags and manifests stay.
        times: How long things take.
    """

    pods: Pods
    retention: Retention
    times: Times


class Collection:
    """One run of the collection.

    Args:
        objects: The bucket.
        walk: What is in it.
        state: What is remembered.
        settings: How to collect.

    Attributes:
        health: What became of what is needed, when it was last looked at.
        report: What was done, line by line.
        problem: Why nothing more was done; empty if all was.
    """

    health: Health

    def __init__(self, objects: Objects, walk: Walk, state: State, settings: Settings) -> None:
        self._objects, self._walk, self._state, self._settings = objects, walk, state, settings
        self._unlinked: set[str] = set()
        self.report: list[str] = []
        self.problem = ""
        self._heal()
        state.untagged = {name: x.untagged for name, x in self.health.decisions.items()}

    def _decide(self) -> dict[str, Decision]:
        retention, grace = self._settings.retention, self._settings.times.grace
        return {
            name: decide(name, self._walk, retention, self._state.untagged.get(name, {}), grace)
            for name in self._walk.repositories
        }

    def _heal(self) -> None:
        self.health = heal(self._objects, self._walk, self._state, self._decide, self._unlinked)
        self.report += [f"given back: {what}" for what in self.health.healed]

    def _look_again(self) -> None:
        self._walk.look_again()
        self._heal()

    def save(self) -> None:
        """Remember what was seen."""
        save(self._objects, self._state)

    def run(self) -> None:
        """Delete what can be deleted by now."""
        walk, state, times = self._walk, self._state, self._settings.times
        actions = plan(walk, state, self.health.decisions, times)
        busy = walk.now - walk.latest < times.quiet
        if busy and walk.now - (state.postponed or walk.now) < times.patience:
            state.postponed = state.postponed or walk.now
            self.save()
            self.report.append(f"postponed: pushed within the last {times.quiet / 60:.0f} minutes")
            return
        state.postponed = 0
        self._unlink(actions)
        if not self._forget(actions):
            actions.sweep.clear()
        if actions.sweep or actions.unlink or any(actions.tags.values()):
            self._sweep(actions.sweep)
        rest = [*actions.uploads, *actions.copies]
        for name, tag in actions.dead_tags:
            prefix = f"{ROOT}repositories/{name}/_manifests/tags/{tag}/index/"
            rest += [entry.key for entry in self._objects.list(prefix)]
        self._objects.each(self._objects.delete, rest)

    def _unlink(self, actions: Plan) -> None:
        """Delete tags and links, after they are remembered."""
        state, now = self._state, self._walk.now
        self._unlinked = {x.digest for x in actions.unlink if x.kind == "_manifests/revisions"}
        for name, expired in actions.tags.items():
            state.retired.setdefault(name, {}).update(dict.fromkeys(expired, now))
        for name, kind, digest in actions.unlink:
            unlinked = state.unlinked.setdefault(digest, Unlinked([]))
            unlinked.forgotten = 0
            if (name, kind) not in unlinked.links:
                unlinked.links.append((name, kind))
        self.save()
        tags = [(name, tag) for name, expired in actions.tags.items() for tag in sorted(expired)]
        repositories = self._walk.repositories
        links = [(tag_key(name, tag), repositories[name].tags[tag].modified) for name, tag in tags]
        latest = now - self._settings.times.grace
        links += [(link_key(*memory), latest) for memory in actions.unlink]
        self._objects.each(lambda link: self._delete_unchanged(*link), links)
        self.report += [f"expired: tag {name}:{tag}" for name, tag in tags]
        self._note("unlinked", {memory.digest for memory in actions.unlink})

    def _delete_unchanged(self, key: str, latest: float) -> None:
        """Delete a link, unless it was written after some moment."""
        entry = self._objects.head(key)
        if entry and entry.modified <= latest:
            self._objects.delete(key)

    def _forget(self, actions: Plan) -> bool:
        """Make pods forget what was unlinked, again what is swept; return whether all did."""
        state = self._state
        new = {memory.digest for memory in [*actions.unlink, *actions.forget]}
        memories = [
            Memory(name, kind, digest)
            for digest in {*new, *actions.sweep} & state.unlinked.keys()
            for name, kind in state.unlinked[digest].links
            if digest in new or kind == "_layers"
        ]
        if not memories:
            return True
        try:
            self._settings.pods.forget(self._objects, memories)
        except ForgetError as error:
            self.problem = f"no blob is deleted, since a pod may still count on it: {error}"
            return False
        for digest in new:
            state.unlinked[digest].forgotten = self._objects.now
        self.save()
        return True

    def _sweep(self, digests: Iterable[str]) -> None:
        """Copy blobs, look whether anything needs them now, delete them, and look again."""
        walk = self._walk

        def copy(digest: str) -> None:
            size = walk.blobs[digest]
            self._objects.copy(blob_key(digest), swept_key(digest), size)
            walk.swept[digest] = Entry(swept_key(digest), size, self._objects.now, "")

        self._objects.each(copy, digests)
        self._look_again()
        wanted = needed(walk, self.health.decisions, self._settings.times.grace)
        wanted.update(x for repository in walk.repositories.values() for x in repository.layers)
        unneeded = set(digests) - wanted
        self._objects.each(lambda digest: self._objects.delete(blob_key(digest)), unneeded)
        self._note("deleted", unneeded)
        for digest in unneeded:
            del walk.blobs[digest]
        self._look_again()

    def _note(self, done: str, digests: set[str]) -> None:
        size = sum(self._walk.blobs.get(digest, 0) for digest in digests)
        self.report.append(f"{done}: {len(digests)} blobs, {size} bytes")
