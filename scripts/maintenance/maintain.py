"""Look after the registry's bucket: show its usage, find lost images, delete what no image needs.

It runs in a CronJob, and fails if an image has lost something, or not everything could be done.
Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scripts.maintenance import tag_history, usage_history
from scripts.maintenance.collect import Collection, Settings
from scripts.maintenance.collection_plan import Times
from scripts.maintenance.collection_state import State, load
from scripts.maintenance.registry_pods import Pods
from scripts.maintenance.retention import DAY, Retention, decide, parse_retention
from scripts.maintenance.usage import table, usage
from scripts.maintenance.walk import Walk, blob_key
from scripts.shared.objects import Objects, StorageError
from scripts.shared.storage_arguments import add_arguments, objects_of

SAMPLE_BYTES = 64 * 2**20
"""How much of the blobs each run reads and compares with their digests."""

RECHECK_SECONDS = 60
"""How long to wait before something counts as lost. While the registry deletes an image, its tags
name it for some seconds more."""


class Task(NamedTuple):
    """What to do.

    Attributes:
        stack: A name of this stack, which no other has.
        pods: The registry's pods.
        retention: The rules.
        dry_run: Whether to show only which tags they would delete.
        collect: Whether to delete anything.
        times: How long things take.
    """

    stack: str
    pods: Pods
    retention: Retention
    dry_run: bool
    collect: bool
    times: Times


def maintain(objects: Objects, task: Task) -> bool:
    """Do everything once, print what was done, and return whether all is well."""
    # First what is remembered: if another run writes it while this one looks, it is noticed.
    history, state = tag_history.load(objects), load(objects)
    walk = Walk(objects, history.pushed)
    used = usage(walk)
    print(table(used), flush=True)
    usage_history.record(objects, used, walk.now)
    print(f"\ncompared {check_sample(objects, walk)} blobs with their digests", flush=True)
    others = state.others(task.stack, walk.now, task.times.keep)
    settings = Settings(task.pods, Retention() if task.dry_run else task.retention, task.times)
    collection = Collection(objects, walk, state, settings)
    if collection.health.lost:
        time.sleep(RECHECK_SECONDS)
        damaged, healed, walk = walk.damaged, collection.report, Walk(objects, history.pushed)
        walk.damaged |= damaged
        collection = Collection(objects, walk, state, settings)
        collection.report[:0] = healed
    # Before tags are deleted, so that they can be restored.
    history.record(walk, walk.now)
    tag_history.save(objects, history)
    if task.dry_run:
        for line in would_expire(walk, state, task.retention, task.times.grace):
            print(f"would expire: {line}")
    problems = [f"not understood: {what}" for what in walk.unclear]
    problems += [f"lost: {what}" for what in collection.health.lost]
    if task.collect and not problems and not others:
        collection.run()
        problems = [f"lost: {what}" for what in collection.health.lost]
        problems += [collection.problem] if collection.problem else []
    else:
        collection.save()
        if task.collect:
            collection.report += [f"nothing is deleted: {other}" for other in others]
    for line in collection.report + [f"FAILED: {problem}" for problem in problems]:
        print(line, flush=True)
    return not problems


def check_sample(objects: Objects, walk: Walk) -> int:
    """Compare some blobs with their digests, note those that are damaged, and return how many.

    First those of another size than a manifest says, then any. The last one may be larger than what
    is left of the sample, or large ones would never be compared.
    """
    layers: set[str] = set()
    suspects: set[str] = set()
    for manifest in walk.manifests.values():
        layers.update(manifest.layers)
        sizes = dict(zip(manifest.layers, manifest.sizes))
        suspects.update(x for x, size in sizes.items() if walk.blobs.get(x, size) != size)
    others = sorted(layers & walk.blobs.keys() - suspects)
    random.shuffle(others)
    left, count = SAMPLE_BYTES, 0
    for digest in [*sorted(suspects), *others]:
        if left <= 0:
            break
        hashed = objects.sha256(blob_key(digest))
        if hashed not in {None, digest.partition(":")[2]}:
            walk.damaged.add(digest)
        left -= walk.blobs[digest]
        count += 1
    return count


def would_expire(walk: Walk, state: State, retention: Retention, grace: float) -> Iterator[str]:
    """Yield the tags that rules would delete, and the manifests that no tag has held for long."""
    for name in sorted(walk.repositories):
        decision = decide(name, walk, retention, state.untagged.get(name, {}), grace)
        yield from (f"tag {name}:{tag}" for tag in sorted(decision.expired))
        for digest, untagged in sorted(decision.untagged.items()):
            # Those of tags that expire go with them.
            if not untagged.expired and digest not in decision.kept:
                yield f"manifest {name}@{digest}"


def main() -> int:
    """Run from the command line, and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Show what the registry's bucket holds, find lost images, remember what tags "
        "name, and delete what no image needs.",
        epilog="Exits with 1 if an image has lost something, or not everything could be done.",
    )
    add_arguments(parser)
    parser.add_argument("--stack-file", required=True, type=Path, help="this stack's name")
    parser.add_argument("--pods", required=True, help="host and port of a headless Service")
    parser.add_argument("--username", required=True, help="the user who makes pods forget")
    parser.add_argument("--password-file", required=True, type=Path, help="that user's password")
    parser.add_argument("--keep-days", required=True, type=int, help="how long to keep the rest")
    parser.add_argument("--retention", required=True, help="the rules, in JSON")
    parser.add_argument("--dry-run", action="store_true", help="only show what the rules delete")
    parser.add_argument("--collect", action="store_true", help="delete what no image needs")
    args = parser.parse_args()
    task = Task(
        stack=args.stack_file.read_text(),
        pods=Pods(args.pods, args.username, args.password_file.read_text()),
        retention=parse_retention(args.retention),
        dry_run=args.dry_run,
        collect=args.collect,
        times=Times(keep=args.keep_days * DAY),
    )
    try:
        with objects_of(args) as objects:
            return 0 if maintain(objects, task) else 1
    except (StorageError, OSError) as error:
        print(f"FAILED: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
