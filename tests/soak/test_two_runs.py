"""Two runs of the maintenance at once, all the while, beside a history."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.soak.conftest import ROOT
from tests.soak.history import History
from tests.soak.servers import HOSTS, Servers
from tests.soak.test_soak import SEED, clean, summary

ENOUGH_SECONDS = 180
"""How long the history may go on until both have done something, and been in each other's way."""

AT_WORK = "another run of the maintenance is at work"


def collecting(servers: Servers, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.soak.collector", servers.endpoint]
    command += [str(servers.folder / "credentials"), str(servers.maintenance_port)]
    with log.open("wb") as file:
        return subprocess.Popen(command, cwd=ROOT, stdout=file)


def reports(log: Path) -> list[dict[str, Any]]:
    """Return what the runs reported; the last line may be half written."""
    return [json.loads(line) for line in log.read_text().split("\n")[:-1]]


def test_two_runs_at_once_break_nothing(servers: Servers, operations: int) -> None:
    history = History([f"{host}:{servers.registry_port}" for host in HOSTS], SEED)
    logs = [servers.folder / f"collector-{number}.log" for number in (1, 2)]
    latest = time.monotonic() + ENOUGH_SECONDS

    def enough() -> bool:
        every = [reports(log) for log in logs]
        done = all(summary(x)["deleted"] for x in every) and bool(collided(every))
        return history.acknowledged >= operations and (done or time.monotonic() > latest)

    with ExitStack() as running:
        for log in logs:
            process = running.enter_context(collecting(servers, log))
            running.callback(process.kill)
        history.run(enough, lambda _: time.sleep(0.5))
    every = [reports(log) for log in logs]
    history.settle()
    left = clean(servers, history)
    print(dict(history.counts), *(dict(summary(x)) for x in every), len(collided(every)))
    assert not history.broken()
    assert not left, "garbage stays"
    assert all(summary(x)["deleted"] for x in every)
    assert collided(every)


def collided(every: list[list[dict[str, Any]]]) -> list[str]:
    """Return what runs said of each other."""
    problems = [problem for x in every for each in x for problem in each["problems"]]
    return [problem for problem in problems if AT_WORK in problem]
