"""Compare some blobs with their digests: what a disk or a person has changed shows in no list."""

from __future__ import annotations

import random

from scripts.maintenance.keys import blob_key
from scripts.maintenance.state import State
from scripts.maintenance.walk import MOST_UNREADABLE, Walk
from scripts.shared.objects import Objects, StorageError

SAMPLE_BYTES = 64 * 2**20
"""How much a run reads on average at most: 45 GiB a month, hour by hour."""

SAMPLE_BLOBS = 500
"""How many blobs that is at most, each of them a request: 360,000 a month."""


def check_sample(objects: Objects, walk: Walk, state: State) -> int:
    """Compare some blobs with their digests, note those that are damaged, and return how many.

    What was damaged is compared again. Else each blob is as likely as any other, whatever its size,
    and whatever manifests say of it. So a run can meet a large one; the average counts.
    """
    known = [digest for digest in walk.blobs if digest.startswith("sha256:")]
    size = sum(walk.blobs[digest] for digest in known)
    share = min(1.0, SAMPLE_BLOBS / max(1, len(known)), SAMPLE_BYTES / max(1, size))
    # If that is 0.3 of a blob, it is one in 3 of 10 runs.
    count = int(share * len(known) + random.random())  # noqa: S311 - nothing secret depends on it
    chosen = {*random.sample(known, count)}
    chosen.update(digest for digest in state.damaged if digest in walk.blobs)
    failures: list[StorageError] = []

    def check(digest: str) -> None:
        try:
            hashed = objects.sha256(blob_key(digest))
        except StorageError as error:
            failures.append(error)
            if len(failures) > MOST_UNREADABLE:
                raise
            hashed = ""
        if hashed not in {None, digest.partition(":")[2]}:
            walk.damaged.add(digest)

    objects.each(check, chosen)
    state.damaged = sorted(walk.damaged)
    return len(chosen)
