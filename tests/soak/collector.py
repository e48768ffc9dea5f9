"""Collect over and over, with short times, until the process is killed; one line of JSON a run."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from scripts.collect import Collection, Settings
from scripts.collection_plan import Times
from scripts.collection_state import load
from scripts.objects import Objects
from scripts.registry_pods import Pods
from scripts.retention import DAY, Retention
from scripts.s3 import Bucket, read_key
from scripts.walk import Walk
from tests.soak.servers import BUCKET, PASSWORD, REGION, LoopbackPods

TIMES = Times(keep=3, grace=3, quiet=0, patience=0)
RETENTION = Retention(untagged_days=2 / DAY)
PAUSE_SECONDS = 0.2

RECHECK_SECONDS = 4
"""Longer than a registry that has little of the processor takes to delete an image."""


def run(objects: Objects, pods: Pods, times: Times = TIMES) -> dict[str, object]:
    """Collect once; what is lost is looked for once more, as the maintenance does."""
    settings = Settings(pods, RETENTION, times)
    state, walk = load(objects), Walk(objects)
    collection = Collection(objects, walk, state, settings)
    if collection.health.lost:
        time.sleep(RECHECK_SECONDS)
        state, walk = load(objects), Walk(objects)
        collection = Collection(objects, walk, state, settings)
    lost = list(collection.health.lost)
    if lost or walk.unclear:
        collection.save()
    else:
        collection.run()
    report = {"lost": lost, "unclear": walk.unclear, "problem": collection.problem}
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
