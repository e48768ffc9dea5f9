"""Collect over and over, with short times, until the process is killed; one line of JSON a run."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from scripts.maintenance import repair
from scripts.maintenance.clock import DAY
from scripts.maintenance.collect import Collection, Settings
from scripts.maintenance.plan import Times
from scripts.maintenance.references import References
from scripts.maintenance.registry_pods import Pods
from scripts.maintenance.retention import Retention
from scripts.maintenance.state import load
from scripts.maintenance.walk import Walk
from scripts.shared.objects import Objects
from scripts.shared.s3 import Bucket, read_key
from tests.soak.servers import BUCKET, PASSWORD, REGION, LoopbackPods

TIMES = Times(keep=3, grace=3)
RETENTION = Retention(untagged_days=2 / DAY)
PAUSE_SECONDS = 0.2

# Longer than a registry that has little of the processor takes to delete an image.
repair.SETTLE_SECONDS = 4


def run(objects: Objects, pods: Pods, times: Times = TIMES) -> dict[str, object]:
    """Collect once, as the maintenance does."""
    settings = Settings(pods, RETENTION, times)
    state, references = load(objects), References(objects)
    walk = Walk(objects, references, young_seconds=times.keep)
    references.save(walk.blobs.keys())
    problem = state.clock.advance(walk.now, time.time())
    collection = Collection(objects, walk, state, settings)
    if problem:
        collection.save()
    else:
        collection.run()
    lost = [str(x) for x in collection.health.lost]
    odd = [what for repository in walk.repositories.values() for what in repository.odd]
    problems = [*filter(None, [problem, collection.problem]), *sorted(walk.unlisted)]
    report = {"lost": lost, "odd": odd, "problems": problems}
    return {**report, "report": collection.report, "blobs": len(walk.blobs)}


def main() -> None:
    """Run from the command line."""
    endpoint, key_file, port, *seconds = sys.argv[1:]
    bucket = Bucket(endpoint, REGION, BUCKET, True, read_key(Path(key_file)))
    times = TIMES._replace(keep=float(seconds[0]), grace=float(seconds[0])) if seconds else TIMES
    while True:
        with Objects(bucket, threads=8) as objects:
            report = run(objects, LoopbackPods(f"pods:{port}", "maintenance", PASSWORD), times)
        print(json.dumps(report), flush=True)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
