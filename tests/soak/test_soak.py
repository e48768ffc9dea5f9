"""A long history with the collection, and the same with the registry's own: that must fail."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from tests.soak import collector
from tests.soak.conftest import ROOT, SHORT
from tests.soak.history import History
from tests.soak.servers import HOSTS, Servers

SEED = 1


RESTARTS = 6
"""How often a registry is restarted in a history: in order, or killed, in turns."""

DELETED_SECONDS = 180
"""How long a history may go on until something was deleted: it is kept for 3 s, then goes in steps.
"""

SLICES = 10
"""How many short histories, one after the other, may pass before an image is broken."""


class Disturbance:
    """What happens meanwhile: runs of the collection, of which every third is killed, and rollouts.

    Args:
        servers: The servers.
        operations: How many operations the history has.
    """

    def __init__(self, servers: Servers, operations: int) -> None:
        self._servers, self._operations = servers, operations
        self._random = random.Random(SEED)
        self.counts: Counter[str] = Counter()
        self._log = servers.folder / "collector.log"

    @property
    def reports(self) -> list[dict[str, Any]]:
        """What the runs reported; the last line may be half written."""
        lines = self._log.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Collect all the time, in a process of its own."""
        self._start()
        try:
            yield
        finally:
            self._kill()

    def _start(self) -> None:
        servers = self._servers
        command = [sys.executable, "-m", "tests.soak.collector", servers.endpoint]
        command += [str(servers.folder / "credentials"), str(servers.maintenance_port)]
        with self._log.open("a") as log, (servers.folder / "collector.err").open("a") as errors:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=errors)

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def disturb(self, acknowledged: int) -> None:
        """Kill the collection at some moment of its third run, and now and then a registry."""
        time.sleep(self._random.uniform(0.1, 0.5))
        if len(self._log.read_text().splitlines()) >= 2 * self.counts["collection killed"] + 2:
            time.sleep(self._random.uniform(0, 1))
            self._kill()
            self._start()
            self.counts["collection killed"] += 1
        restarts = self.counts["rollout"] + self.counts["killed"]
        due = acknowledged >= (restarts + 1) * self._operations / (RESTARTS + 1)
        if due and restarts < RESTARTS:
            kind, how = [("rollout", signal.SIGTERM), ("killed", signal.SIGKILL)][restarts % 2]
            host = HOSTS[restarts // 2 % 2]
            self._servers.stop(host, how)
            self._servers.start_registry(host)
            self.counts[kind] += 1


def test_nothing_that_was_acknowledged_breaks_while_it_is_collected(
    servers: Servers, operations: int
) -> None:
    history = History([f"{host}:{servers.registry_port}" for host in HOSTS], SEED)
    disturbance = Disturbance(servers, operations)
    latest = time.monotonic() + DELETED_SECONDS

    def enough() -> bool:
        deleted = summary(disturbance.reports)["deleted"] > 0
        return history.acknowledged >= operations and (deleted or time.monotonic() > latest)

    with disturbance.collecting():
        history.run(enough, disturbance.disturb)
    with servers.objects() as objects:
        for _ in range(3):
            report = collector.run(objects, servers.pods())
    print(dict(history.counts), dict(disturbance.counts), summary(disturbance.reports))
    print(*history.notes, sep="\n")
    assert not history.broken()
    for each in (*disturbance.reports, report):
        assert not each["odd"]
        # A registry that is killed while it deletes an image leaves the tag.
        assert not [x for x in each["lost"] if x.split(": ")[0] not in history.half_deleted]
    assert summary(disturbance.reports)["deleted"] > 0


def test_the_registrys_own_collection_breaks_images(servers: Servers) -> None:
    """Or the history above would show nothing."""
    history = History([f"{host}:{servers.registry_port}" for host in HOSTS], SEED)
    command = [str(servers.tools / "registry"), "garbage-collect", "--delete-untagged"]
    config = servers.config(HOSTS[0], servers.endpoint)

    def collect(_: int) -> None:
        subprocess.run(
            [*command, str(config)], env=servers.environment(), capture_output=True, check=False
        )

    for number in range(1, SLICES + 1):
        history.run(partial(history.has_done, number * SHORT), collect)
        if history.broken():
            return
    pytest.fail("all images are whole")


def summary(reports: list[dict[str, Any]]) -> Counter[str]:
    """Count what all runs did."""
    counts: Counter[str] = Counter(runs=len(reports))
    for report in reports:
        for line in report["report"]:
            kind, _, rest = line.partition(": ")
            counts[kind] += int(rest.split()[0]) if kind in {"unlinked", "deleted"} else 1
    return counts
