"""A long history beside the maintenance, on pods and lists of which some fail or lie."""

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
from typing import Any

from scripts.maintenance.references import References
from scripts.maintenance.walk import Walk
from tests.soak import collector
from tests.soak.conftest import ROOT
from tests.soak.history import History
from tests.soak.lies import LIES
from tests.soak.proxy import Proxy
from tests.soak.servers import HOSTS, Servers
from tests.soak.variants import ODD

SEED = 1

RESTARTS = 6
"""How often a pod is restarted in a history: in order, or killed, in turns."""

DELETED_SECONDS = 180
"""How long a history may go on until something was deleted: it is kept for 3 s, then goes in steps.
"""

TRUE_SECONDS, FALSE_SECONDS = 6, 3
"""For how long lists are true, and then false, in turns."""

SEEN_LIES = 3
"""How many a history sees at least. Each is tried in tests/soak/test_controls.py."""

CLEAN_SECONDS = 120
"""How long it may take in the end until nothing is left that nothing needs."""


class Disturbance:
    """What happens meanwhile: runs of the maintenance, of which some are killed, false lists, and
    rollouts.

    Args:
        servers: The servers.
        operations: How many operations the history has.
        proxy: Before the S3 server.
    """

    def __init__(self, servers: Servers, operations: int, proxy: Proxy) -> None:
        self._servers, self._operations, self._proxy = servers, operations, proxy
        self._random = random.Random(SEED)
        self.counts: Counter[str] = Counter()
        self.lies: list[tuple[float, float]] = []
        """When lists were false."""
        self._log = servers.folder / "collector.log"
        self._errors = servers.folder / "collector.err"
        self._turned = time.time()
        self._lying = False

    @property
    def reports(self) -> list[dict[str, Any]]:
        """What the runs reported; the last line may be half written."""
        lines = self._log.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    @property
    def errors(self) -> str:
        """What crashed."""
        return self._errors.read_text()

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
        command = [sys.executable, "-m", "tests.soak.collector", self._proxy.endpoint]
        command += [str(servers.folder / "credentials"), str(servers.maintenance_port)]
        with self._log.open("a") as log, self._errors.open("a") as errors:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=errors)

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def disturb(self, acknowledged: int) -> None:
        """Kill the maintenance at some moment, and now and then a pod; or make lists false."""
        time.sleep(self._random.uniform(0.1, 0.5))
        self._turn()
        if len(self._log.read_text().splitlines()) >= 3 * self.counts["collection killed"] + 3:
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

    def _turn(self) -> None:
        now = time.time()
        if now - self._turned < (FALSE_SECONDS if self._lying else TRUE_SECONDS):
            return
        if self._lying:
            self.tell_the_truth()
        else:
            self._proxy.lie = list(LIES.values())[len(self.lies) % len(LIES)]
            self._lying, self._turned = True, now

    def tell_the_truth(self) -> None:
        """End a false list, if there is one."""
        self._proxy.lie = lambda page: page
        if self._lying:
            self.lies.append((self._turned, time.time()))
        self._lying, self._turned = False, time.time()

    def lied_to(self, report: dict[str, Any]) -> bool:
        """Return whether some list of a run was false."""
        return any(report["began"] < end and report["ended"] > start for start, end in self.lies)

    def only_lied_to(self, report: dict[str, Any]) -> bool:
        """Return whether all lists of a run were false."""
        return any(report["began"] > start and report["ended"] < end for start, end in self.lies)


def test_nothing_that_was_acknowledged_breaks_while_it_is_maintained(
    servers: Servers, operations: int
) -> None:
    history = History([f"{host}:{servers.registry_port}" for host in HOSTS], SEED)
    with Proxy(servers.s3_port) as proxy:
        disturbance = Disturbance(servers, operations, proxy)
        latest = time.monotonic() + DELETED_SECONDS

        def enough() -> bool:
            reports = disturbance.reports
            deleted = summary(reports)["deleted"] > 0
            misled = any(map(disturbance.only_lied_to, reports))
            late = time.monotonic() > latest
            done = deleted and misled and len(disturbance.lies) >= SEEN_LIES
            return history.acknowledged >= operations and (done or late)

        with disturbance.collecting():
            history.run(enough, disturbance.disturb)
            disturbance.tell_the_truth()
    reports = disturbance.reports
    history.settle()
    left = clean(servers, history)
    print(dict(history.counts), dict(disturbance.counts), summary(reports))
    print(*history.notes, sep="\n")
    assert not disturbance.errors
    assert not history.broken()
    for host in HOSTS:
        servers.stop(host)
        servers.start_registry(host)
    assert not history.broken(), "what pods remembered hid it"
    assert not left, "garbage stays"
    true_reports = [x for x in reports if not disturbance.lied_to(x)]
    false_reports = [x for x in reports if disturbance.only_lied_to(x)]
    assert not late(history, true_reports)
    assert not [x["problems"] for x in true_reports if x["problems"]]
    for report in reports:
        assert all(line.startswith(f"not understood: {ODD}") for line in report["odd"])
    assert false_reports
    assert all(x["problems"] for x in false_reports)
    assert not summary(false_reports)["deleted"]
    assert summary(reports)["deleted"] > 0
    assert summary(reports)["expired"] > 0


def clean(servers: Servers, history: History) -> dict[str, set[str]]:
    """Maintain until nothing is left that nothing needs, and return what is left then."""
    deadline = time.monotonic() + CLEAN_SECONDS
    needed = history.parts()
    while True:
        with servers.objects() as objects:
            report = collector.run(objects, servers.pods())
            assert not report["problems"], report
            walk = Walk(objects, References(objects))
            repositories = walk.repositories.values()
            left = {
                "blobs": walk.blobs.keys() - needed,
                "copies": {*walk.swept},
                "manifests": {y for x in repositories for y in x.revisions} - needed,
                "layers": {y for x in repositories for y in x.layers} - needed,
            }
        if not any(left.values()) or time.monotonic() > deadline:
            missing = needed - walk.blobs.keys()
            assert not missing, [
                key for key, live in history.live.items() if missing & live.image.parts()
            ]
            return {kind: digests for kind, digests in left.items() if digests}
        time.sleep(0.5)


def late(history: History, reports: list[dict[str, Any]]) -> list[str]:
    """Return what could not be pulled although a run might have given back what was missing."""
    return [
        f"{failure.image}: {failure.text}"
        for failure in history.failures
        if any(x["began"] > failure.since and x["ended"] < failure.pulled for x in reports)
    ]


def summary(reports: list[dict[str, Any]]) -> Counter[str]:
    """Count what all runs did."""
    counts: Counter[str] = Counter(runs=len(reports))
    for report in reports:
        for line in report["report"]:
            kind, _, rest = line.partition(": ")
            counts[kind] += int(rest.split()[0]) if kind in {"unlinked", "deleted"} else 1
    return counts
