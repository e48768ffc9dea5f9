"""Look after the registry's bucket: show its usage, find lost images, delete what no image needs.

It runs in a CronJob, and fails if an image has lost something, or not everything could be done.
Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from scripts.maintenance import caches, fuse, history, state, usage_history
from scripts.maintenance.clock import DAY
from scripts.maintenance.collect import Collection
from scripts.maintenance.keys import REVISIONS, link_key, tag_key
from scripts.maintenance.plan import Times
from scripts.maintenance.references import References
from scripts.maintenance.registry_pods import Pods
from scripts.maintenance.remembered import day
from scripts.maintenance.retention import Retention, parse_retention
from scripts.maintenance.sample import check_sample
from scripts.maintenance.state import Stopped, Sums
from scripts.maintenance.usage import formatted, table, usage
from scripts.maintenance.usage_report import usage_report
from scripts.maintenance.walk import Walk
from scripts.shared import reports
from scripts.shared.objects import Objects, StorageError
from scripts.shared.storage_arguments import add_arguments, objects_of

COLLECT = "pulumi config set --path maintenance.collect true && pulumi up"
CONFIRM = "python3 -m scripts.client.confirm"


class Task(NamedTuple):
    """What to do.

    Attributes:
        stack: The identity of this stack, which no other has, and its name, with a space between.
        pods: The registry's pods.
        retention: The rules.
        dry_run: Whether to show only what they would delete.
        collect: Whether to delete anything.
        times: How long things take.
        caches: What each cache of another registry may keep.
    """

    stack: str
    pods: Pods
    retention: Retention
    dry_run: bool
    collect: bool
    times: Times
    caches: Mapping[str, caches.Limit] = MappingProxyType({})


class Maintenance:
    """One run.

    Args:
        objects: The bucket.
        task: What to do.

    Attributes:
        problems: What is wrong, so that the run fails.
        doubts: Why nothing may be deleted.
        report: What users see of this run, as :data:`.reports.Make`.
    """

    report: reports.Make

    def __init__(self, objects: Objects, task: Task) -> None:
        self._objects, self._task = objects, task
        # First what is remembered: if another run writes it while this one looks, it is noticed.
        self._history, self._state = history.load(objects), state.load(objects)
        references = References(objects)
        for key in references.unreadable:
            print(f"{key} cannot be read, so the manifests are read again")
        skipped = sum(seconds for _, seconds in self._state.clock.skipped)
        young = max(task.times.keep, task.times.grace) + skipped
        self._walk = Walk(objects, references, self._history.pushed, young)
        references.save(self._walk.blobs.keys() | self._walk.swept.keys())
        self.problems: list[str] = []
        self.doubts: list[str] = []

    def run(self) -> bool:
        """Do everything once, print what was done, and return whether all is well.

        Raises:
            StorageError: The storage fails, or does not list what is there; nothing of what its
                lists show is taken over then.
        """
        task, walk, clock = self._task, self._walk, self._state.clock
        # A walk may take longer than clocks may be apart.
        pod = time.time() - (self._objects.now - walk.now)
        if problem := clock.advance(walk.now, pod):
            self._stop(problem)
        elif clock.jumped:
            self.doubts.append("the last run was long ago, and the next one goes on")
        self.doubts += self._state.others(task.stack, task.times.keep)
        checked = check_sample(self._objects, walk, self._state)
        self._look_for_what_was_there()
        self._require_listed()
        collection = self._collection(allowed=task.collect and not self.doubts)
        self._show_usage(checked)
        self._require_listed()
        # Before tags are deleted, so that they can be restored.
        self._history.record(walk)
        history.save(self._objects, self._history)
        self._state.stopped = None
        whole = self._fuse(collection) if task.collect else fuse.sums(walk)
        if task.dry_run or self._state.stopped:
            for line in self._would_expire(collection):
                print(f"would expire{line}")
        if task.collect and not self.doubts:
            collection.run()
            self._note_expired(collection)
            self._require_listed()
            whole = fuse.sums(walk)
        elif task.collect:
            # What waits for a tag to go does not wait while the tag stays.
            before = collection
            collection = self._collection(allowed=False)
            collection.report[:0] = before.report
        self._state.seen = whole
        self._state.keep = task.times.keep if task.collect else 0
        collection.save()
        for name in sorted(walk.repositories):
            collection.report += [f"not understood: {what}" for what in walk.repositories[name].odd]
        if task.collect and not self.problems:
            collection.report += [f"nothing is deleted: {doubt}" for doubt in self.doubts]
        self.problems += [f"lost: {what}" for what in collection.health.lost]
        self.problems += [collection.problem] if collection.problem else []
        for line in collection.report + [f"FAILED: {problem}" for problem in self.problems]:
            print(line, flush=True)
        return not self.problems

    def _collection(self, *, allowed: bool) -> Collection:
        """Look at what is needed; tags expire only if they may go in this run."""
        task = self._task
        retention = Retention() if task.dry_run or not task.collect else task.retention
        if not allowed:
            retention = Retention(untagged_days=retention.untagged_days)
        known = self._objects, self._walk, self._state
        return Collection(*known, task.pods, retention, task.times)

    def _stop(self, reason: str) -> None:
        self.doubts.append(reason)
        self.problems.append(f"nothing is deleted: {reason}")

    def _look_for_what_was_there(self) -> None:
        """Ask for what the last run saw and the lists do not show now, one by one."""
        walk = self._walk
        keys = [tag_key(name, tag) for name, tag in self._history.missing(walk)]
        keys += [
            link_key(name, REVISIONS, digest)
            for manifests in (self._state.untagged, self._state.unnamed)
            for name, digests in manifests.items()
            for digest in digests
            if name not in walk.repositories or digest not in walk.repositories[name].revisions
        ]
        self._objects.each(walk.find, keys)
        if self._state.etag and not list(self._objects.list(state.KEY)):
            walk.unlisted.add(state.KEY)

    def _require_listed(self) -> None:
        for key in sorted(self._walk.unlisted)[:1]:
            raise StorageError(
                f"nothing is deleted: the storage's lists do not show {key}, which is there, and "
                f"{len(self._walk.unlisted) - 1} more"
            )

    def _fuse(self, collection: Collection) -> Sums:
        """Stop if too much would go, or is gone; return what there was when that was all right."""
        seen, now = self._state.seen, fuse.sums(self._walk)
        gone = fuse.gone(seen, now)
        if self._blows(gone, seen, "are gone since the last run that was all right"):
            return seen
        self._blows(collection.plan.begun, now, "would go now")
        return now

    def _blows(self, part: Sums, whole: Sums, what: str) -> bool:
        if not fuse.blows(part, whole) or fuse.confirmed(self._objects, part, self._walk.now):
            return False
        why = f"{fuse.words(part, whole)} {what}"
        self._state.stopped = Stopped(part, why, self._task.times.keep + fuse.CONFIRMED_SECONDS)
        self._stop(f"{why}; if that is right: {CONFIRM}")
        return True

    def _note_expired(self, collection: Collection) -> None:
        rules = {name: self._task.retention.rule(name) for name in collection.plan.tags}
        names = {name: rule.name for name, rule in rules.items() if rule}
        self._history.expire(collection.plan.tags, names)
        history.save(self._objects, self._history)

    def _show_usage(self, checked: int) -> None:
        walk = self._walk
        used = usage(walk, caches.trim(self._objects, self._task.caches))
        print(table(used))
        free = f"a collection would free {formatted(used.unneeded)}: {COLLECT}"
        advice = "" if self._task.collect else f"\n{free}\n"
        print(advice, end="")
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"\n{len(walk.blobs)} blobs took {memory} MiB; {checked} match their digests",
            flush=True,
        )
        days: usage_history.History = {}
        try:
            days = usage_history.record(self._objects, used, walk.now, advice)
        except StorageError as error:
            self.problems.append(str(error))
        self.report = partial(usage_report, walk, used, days)

    def _would_expire(self, collection: Collection) -> Iterator[str]:
        """Yield the tags that rules would delete, and manifests without a tag, with the day."""
        days = self._task.retention.untagged_days
        for name, decision in sorted(collection.decide(self._task.retention).items()):
            yield from (f": tag {name}:{tag}" for tag in sorted(decision.expired))
            later: Counter[str] = Counter()
            for digest, untagged in sorted(decision.untagged.items()):
                # Those of tags that expire go with them.
                if days is None or untagged.expired:
                    continue
                if digest not in decision.kept:
                    yield f": manifest {name}@{digest}"
                else:
                    later[day(untagged.since + days * DAY)] += 1
            for when, count in sorted(later.items()):
                yield f" on {when}: {count} manifests of {name}"


def main() -> int:
    """Run from the command line, and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Show what the registry's bucket holds, find lost images, remember what tags "
        "name, and delete what no image needs.",
        epilog="Exits with 1 if an image has lost something, or not everything could be done.",
    )
    add_arguments(parser)
    parser.add_argument("--stack-file", required=True, type=Path, help="this stack's identity")
    parser.add_argument("--pods", required=True, help="host and port of a headless Service")
    parser.add_argument("--username", required=True, help="the user who makes pods forget")
    parser.add_argument("--password-file", required=True, type=Path, help="that user's password")
    parser.add_argument("--keep-days", required=True, type=int, help="how long to keep the rest")
    parser.add_argument("--retention", required=True, help="the rules, in JSON")
    parser.add_argument("--caches", default="{}", help="what caches may keep, in JSON")
    parser.add_argument("--dry-run", action="store_true", help="only show what the rules delete")
    parser.add_argument("--collect", action="store_true", help="delete what no image needs")
    reports.add_arguments(parser)
    args = parser.parse_args()
    task = Task(
        stack=args.stack_file.read_text(),
        pods=Pods(args.pods, args.username, args.password_file.read_text()),
        retention=parse_retention(args.retention),
        dry_run=args.dry_run,
        collect=args.collect,
        times=Times(keep=args.keep_days * DAY),
        caches={name: caches.Limit(*x) for name, x in json.loads(args.caches).items()},
    )
    try:
        with objects_of(args) as objects:
            maintenance = Maintenance(objects, task)
            well = maintenance.run()
    except (StorageError, OSError) as error:
        print(f"FAILED: {error}")
        return 1
    reports.publish(args, reports.USAGE, maintenance.report)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
