"""Delete what no image needs, beside a registry that goes on to take pushes.

Nothing is deleted before it has been unneeded for long; of every blob that is deleted there is a
copy; and the bucket is looked at again after each step, since a push leaves traces. The reasons are
in docs/adr/0015-collection.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from scripts.maintenance.images import unnamed
from scripts.maintenance.keys import (
    LAYERS,
    REVISIONS,
    ROOT,
    blob_key,
    link_key,
    swept_key,
    tag_key,
)
from scripts.maintenance.plan import Plan, Times, needed, plan, recent
from scripts.maintenance.registry_pods import ForgetError, Pods
from scripts.maintenance.repair import Health, repair
from scripts.maintenance.retention import Decision, Retention, decide, keep_all
from scripts.maintenance.state import State, Unlinked, save
from scripts.maintenance.walk import Walk
from scripts.shared.listing import Entry
from scripts.shared.objects import Objects


class Collection:
    """One run of the collection.

    Attributes:
        health: What became of what is needed, when it was last looked at.
        plan: What can go by now.
        report: What was done, line by line.
        problem: Why nothing more was done; empty if all was.
    """

    health: Health

    def __init__(
        self,
        objects: Objects,
        walk: Walk,
        state: State,
        pods: Pods,
        retention: Retention,
        times: Times,
    ) -> None:
        self._objects, self._walk, self._state = objects, walk, state
        self._pods, self._retention, self._times = pods, retention, times
        self._ill: set[str] = set()
        self.report: list[str] = []
        self.problem = ""
        self._look()
        decisions = self.health.decisions
        state.untagged = {name: x.untagged for name, x in decisions.items()}
        state.unnamed = {
            name: sorted(further)
            for name, x in decisions.items()
            if (further := unnamed(walk.repositories[name], walk) - x.untagged.keys())
        }
        state.subjects = {name: x.subjects for name, x in decisions.items() if x.subjects}
        self.plan = plan(walk, state, decisions, times)

    def decide(self, retention: Retention) -> dict[str, Decision]:
        """Return what stays by some rules; all of a repository that is ill or not understood."""
        walk, state = self._walk, self._state
        return {
            name: keep_all(name, walk, state)
            if repository.odd or name in self._ill
            else decide(name, walk, retention, state, self._times.grace)
            for name, repository in walk.repositories.items()
        }

    def _look(self) -> None:
        """Repair what is needed, and let all stay where something is lost."""
        repaired: list[str] = []
        while True:
            self.health = repair(
                self._objects, self._walk, self._state, lambda: self.decide(self._retention)
            )
            repaired += self.health.repaired
            ill = {lost.repository for lost in self.health.lost}
            if ill <= self._ill:
                break
            self._ill |= ill
        self.report += [f"given back: {what}" for what in repaired]

    def _look_again(self) -> None:
        self._walk.look_again()
        self._look()

    def save(self) -> None:
        """Remember what was seen."""
        save(self._objects, self._state)

    def run(self) -> None:
        """Delete what can be deleted by now."""
        actions = self.plan
        self._unlink(actions)
        if not self._forget(actions):
            actions.sweep.clear()
        if actions.sweep or actions.unlink_layers or any(actions.tags.values()):
            self._sweep(actions.sweep)
        rest = list(actions.rest)
        for name, tag in actions.dead_tags:
            prefix = f"{ROOT}repositories/{name}/_manifests/tags/{tag}/index/"
            rest += [entry.key for entry in self._objects.list(prefix)]
        self._objects.each(self._objects.delete, rest)
        if actions.waiting:
            self.report.append(f"waiting: {actions.waiting} blobs could go by now")

    def _unlink(self, actions: Plan) -> None:
        """Delete tags and links, after they are remembered."""
        state, now = self._state, self._walk.now
        for name, expired in actions.tags.items():
            state.retired.setdefault(name, {}).update(dict.fromkeys(expired, now))
        for name, digest in actions.unlink_manifests:
            state.dropped.setdefault(name, {})[digest] = now
        for name, digest in actions.unlink_layers:
            unlinked = state.unlinked.setdefault(digest, Unlinked([]))
            unlinked.forgotten = 0
            if name not in unlinked.repositories:
                unlinked.repositories.append(name)
        self.save()
        tags = [(name, tag) for name, expired in actions.tags.items() for tag in sorted(expired)]
        repositories = self._walk.repositories
        links = [(tag_key(name, tag), repositories[name].tags[tag].modified) for name, tag in tags]
        latest = now - self._times.grace
        for kind, unlink in (
            (LAYERS, actions.unlink_layers),
            (REVISIONS, actions.unlink_manifests),
        ):
            links += [(link_key(name, kind, digest), latest) for name, digest in unlink]
        self._objects.each(lambda link: self._delete_unchanged(*link), links)
        self.report += [f"expired: tag {name}:{tag}" for name, tag in tags]
        unlinked_now = [*actions.unlink_layers, *actions.unlink_manifests]
        self._note("unlinked", {digest for _, digest in unlinked_now})

    def _delete_unchanged(self, key: str, latest: float) -> None:
        """Delete a link, unless it was written after some moment."""
        entry = self._objects.head(key)
        if entry and entry.modified <= latest:
            self._objects.delete(key)

    def _forget(self, actions: Plan) -> bool:
        """Make pods forget what was unlinked, again what is swept; return whether all did."""
        unlinked = self._state.unlinked
        new = {digest for _, digest in actions.unlink_layers} | {*actions.forget}
        asked = (new | actions.sweep) & unlinked.keys()
        memories = [(x, digest) for digest in asked for x in unlinked[digest].repositories]
        if not memories:
            return True
        try:
            self._pods.forget(self._objects, memories)
        except ForgetError as error:
            self.problem = f"no blob is deleted, since a pod may still count on it: {error}"
            return False
        for digest in new:
            unlinked[digest].forgotten = self._objects.now
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
        if walk.unlisted:
            # Nothing of what the lists say can be relied on; the copies stay for a while.
            return
        wanted = needed(walk, self.health.decisions)
        wanted |= recent(walk, self._state.clock, self._times.grace)
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
