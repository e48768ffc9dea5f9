"""Compare some blobs with their digests: what a disk or a person has changed shows in no list.

Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

import random

from scripts.maintenance.keys import blob_key
from scripts.maintenance.state import State
from scripts.maintenance.walk import Walk
from scripts.shared.objects import Objects

SAMPLE_BYTES = 64 * 2**20
"""How much each run reads on average: 45 GiB a month, hour by hour."""

SAMPLE_BLOBS = 500
"""How many requests that takes at most: 360,000 a month."""


def check_sample(objects: Objects, walk: Walk, state: State) -> int:
    """Compare some blobs with their digests, note those that are damaged, and return how many.

    What was damaged is compared again. Else each blob is as likely as any other, whatever manifests
    say of it. A large one may take more than the share of a run; then the next runs read less.
    """
    left = SAMPLE_BYTES - state.unchecked
    chosen = [digest for digest in state.damaged if digest in walk.blobs]
    known = [digest for digest in walk.blobs if digest.startswith("sha256:")]
    for digest in random.sample(known, min(len(known), SAMPLE_BLOBS)):
        if left <= 0:
            break
        chosen.append(digest)
        left -= walk.blobs[digest]
    state.unchecked = max(0, -left)

    def check(digest: str) -> None:
        if objects.sha256(blob_key(digest)) not in {None, digest.partition(":")[2]}:
            walk.damaged.add(digest)

    objects.each(check, chosen)
    state.damaged = sorted(walk.damaged)
    return len(chosen)
