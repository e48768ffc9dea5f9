"""A sandbox starts and stops without a trace, next to another one, and after any crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from sandbox import lifecycle
from sandbox.enclosure.enclosure import find_all
from sandbox.engine import engine
from sandbox.layout import Layout
from tests.sandbox.helpers import NAME, ROOT, Sandbox, cli, eventually

OTHER = f"{NAME}-b"


@pytest.fixture(scope="module")
def other() -> Iterator[Layout]:
    """Another sandbox of the same checkout, initially down."""
    assert cli("wipe", OTHER).returncode == 0
    yield lifecycle.claim(ROOT, OTHER)
    assert cli("wipe", OTHER).returncode == 0


def start(until: Callable[[], bool]) -> None:
    """Start `up` of the other sandbox, and kill it with its children when ``until`` holds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--name", OTHER, "up"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 90
    while not until():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def traces(layout: Layout) -> list[str]:
    """Return everything that a sandbox could leave on the machine."""
    state = str(layout.state)
    remains = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_text(errors="replace")
            if state in text or (process / "exe").readlink().is_relative_to(layout.tools):
                environment = (process / "environ").read_bytes()
                if state in text or state.encode() in environment:
                    remains.append(f"process {process.name}: {text}")
        except OSError:
            continue
    for command in ("ip link", "ip route", "iptables-save", "cat /proc/mounts /etc/hosts"):
        output = subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout
        marks = (state, layout.interface, layout.subnet.removesuffix("0/24"), layout.domain)
        remains += [line for line in output.splitlines() if any(mark in line for mark in marks)]
    for node in (layout.node, layout.second_node):
        remains += [str(path) for path in Path("/sys/fs/cgroup").rglob(node.cgroup)]
    return remains


def test_a_second_up_finds_everything_in_place(sandbox: Sandbox) -> None:
    before = find_all(sandbox.layout.node)
    result = cli("up")
    assert result.returncode == 0, result.stdout
    assert "unchanged" in result.stdout
    assert " created" not in result.stdout
    assert find_all(sandbox.layout.node) == before, "nothing may be restarted"
    assert "unchanged" in cli("preview").stdout


def test_an_up_that_is_killed_while_the_node_starts_is_repaired_by_down_and_up(
    other: Layout,
) -> None:
    start(lambda: other.kubeconfig.exists() and bool(find_all(other.node)))
    assert cli("down", OTHER).returncode == 0
    assert traces(other) == []


def test_an_up_that_is_killed_while_pulumi_works_is_repaired_by_down_and_up(
    other: Layout, sandbox: Sandbox
) -> None:
    checkpoint = other.state / "pulumi" / ".pulumi" / "stacks" / engine.PROJECT / f"{OTHER}.json"
    start(lambda: checkpoint.exists() and "spacesBucket" in checkpoint.read_text())
    assert cli("down", OTHER).returncode == 0
    assert traces(other) == []
    result = cli("up --nodes 2", OTHER)
    assert result.returncode == 0, result.stdout
    assert find_all(other.second_node)
    assert f"passed: https://{other.hostname} works" in result.stdout
    assert sandbox.http("GET", "/v2/", login=True)[0] == 200, "the sandboxes must not disturb"
    assert other.hostname != sandbox.registry


def test_a_supervisor_that_is_killed_takes_all_with_it_and_up_brings_the_images_back(
    other: Layout,
) -> None:
    for pid in find_all(other.node):
        # One of them takes the others with it.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    eventually("the second node is gone", lambda: not find_all(other.second_node))
    result = cli("up", OTHER)
    assert result.returncode == 0, result.stdout
    assert find_all(other.second_node), "it has as many nodes as before"
    assert "unchanged" in result.stdout
    assert f"passed: https://{other.hostname} works" in result.stdout


def test_down_leaves_no_trace_and_keeps_the_images(other: Layout, sandbox: Sandbox) -> None:
    assert cli("down", OTHER).returncode == 0
    assert traces(other) == []
    assert other.state.exists()
    assert traces(sandbox.layout), "the search must find a sandbox that is up"
    assert sandbox.http("GET", "/v2/", login=True)[0] == 200


def test_wipe_leaves_no_state(other: Layout) -> None:
    assert cli("wipe", OTHER).returncode == 0
    assert not other.state.exists()
    assert not engine.stack_file(other).exists()


@pytest.mark.long
@pytest.mark.usefixtures("other")
def test_two_first_ups_at_the_same_time_both_succeed() -> None:
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: cli("up", OTHER), range(2))
    for result in (first, second):
        assert result.returncode == 0, result.stdout
    assert "waiting for it" in first.stdout + second.stdout
