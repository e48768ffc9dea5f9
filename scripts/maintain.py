"""Look after the registry's bucket: show its usage, find lost images, remember what tags name.

It runs in a CronJob, deletes nothing, and fails if an image has lost something. Plain Python 3.9
with nothing installed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from scripts.images import lost
from scripts.objects import Objects, StorageError, add_arguments, objects_of
from scripts.tag_history import load, save
from scripts.usage import table, usage
from scripts.walk import Walk, blob_key

SAMPLE_BYTES = 64 * 2**20
"""How much of the blobs each run reads and compares with their digests."""

RECHECK_SECONDS = 60
"""How long to wait before something counts as lost. While the registry deletes an image, its tags
name it for some seconds more."""


def maintain(objects: Objects) -> bool:
    """Do everything once, print what was done, and return whether all is well."""
    history, walk = load(objects), Walk(objects)
    print(table(usage(walk)), flush=True)
    print(f"\ncompared {check_sample(objects, walk)} blobs with their digests", flush=True)
    if any(lost(walk)):
        time.sleep(RECHECK_SECONDS)
        damaged, walk = walk.damaged, Walk(objects)
        walk.damaged |= damaged
    history.record(walk, time.time())
    save(objects, history)
    problems = [f"not understood: {what}" for what in walk.unclear]
    problems += [f"lost: {what}" for what in lost(walk)]
    for problem in problems:
        print(f"FAILED: {problem}", flush=True)
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
        sizes = dict(zip(manifest.layers, manifest.sizes))  # noqa: B905 - not in Python 3.9
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


def main() -> int:
    """Run from the command line, and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Show what the registry's bucket holds, find lost images, and remember what "
        "tags name.",
        epilog="Deletes nothing. Exits with 1 if an image has lost something.",
    )
    add_arguments(parser)
    try:
        with objects_of(parser.parse_args()) as objects:
            return 0 if maintain(objects) else 1
    except (StorageError, OSError) as error:
        print(f"FAILED: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
