"""Maintain over and over, with short times, until the process is killed; one line of JSON a run."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from scripts.maintenance import fuse, repair, sample, walk
from scripts.maintenance.maintain import Maintenance, Task
from scripts.maintenance.plan import Times
from scripts.maintenance.registry_pods import Pods
from scripts.shared.objects import Objects, StorageError
from scripts.shared.response import Response
from scripts.shared.s3 import NOTHING, Bucket, read_key
from tests.soak.rules import RETENTION, TIMES
from tests.soak.servers import BUCKET, PASSWORD, REGION, LoopbackPods

PAUSE_SECONDS = 0.2

PAGE = 100
"""How many objects a list has at a time, so that there are many pages."""

# Longer than a registry that has little of the processor takes to delete an image.
repair.SETTLE_SECONDS = 4
# Nothing is as old as that here.
walk.SETTLED_SECONDS = 0
# It would stop each run, and hide what else would go wrong.
fuse.SHARE = 0
# Thousands of small blobs would be read in each run.
sample.SAMPLE_BLOBS = 20


class PagedObjects(Objects):
    """The objects of a bucket, in small pages."""

    def _call(
        self, method: str, key: str | None, *, query: Mapping[str, str] = NOTHING, **rest: Any
    ) -> Response:
        more = {"max-keys": str(PAGE)} if "list-type" in query else {}
        return super()._call(method, key, query={**query, **more}, **rest)


def run(objects: Objects, pods: Pods, times: Times = TIMES) -> dict[str, Any]:
    """Do one run of the maintenance, and return its report."""
    began, printed = time.time(), io.StringIO()
    task = Task("1 soak", pods, RETENTION, dry_run=False, collect=True, times=times)
    with redirect_stdout(printed):
        try:
            maintenance = Maintenance(objects, task)
            maintenance.run()
            problems = maintenance.problems
        except StorageError as error:
            problems = [str(error)]
    lines = printed.getvalue().splitlines()
    return {
        "began": began,
        "ended": time.time(),
        "problems": problems,
        "odd": [line for line in lines if line.startswith("not understood: ")],
        "report": [line for line in lines if line.split(": ")[0] in REPORTED],
    }


REPORTED = {"given back", "expired", "unlinked", "deleted", "waiting", "nothing is deleted"}
"""How lines begin that say what was done."""


def main() -> None:
    """Run from the command line."""
    endpoint, key_file, port, *keep_and_grace = sys.argv[1:]
    bucket = Bucket(endpoint, REGION, BUCKET, True, read_key(Path(key_file)))
    times = Times(*map(float, keep_and_grace)) if keep_and_grace else TIMES
    while True:
        with PagedObjects(bucket, threads=8) as objects:
            report = run(objects, LoopbackPods(f"pods:{port}", "maintenance", PASSWORD), times)
        print(json.dumps(report), flush=True)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
