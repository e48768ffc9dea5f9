"""Processes of a sandbox, and of containers in it, to stop or to kill."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.sandbox.helpers import Sandbox


def find(sandbox: Sandbox, *arguments: str) -> list[int]:
    """Return the process IDs by some of their arguments: the node's, and those of containers."""
    return [
        pid
        for pid, argv in _processes()
        if {*arguments} <= {*argv} and (_is_in_a_pod(sandbox, pid) or _is_the_nodes(sandbox, argv))
    ]


def _processes() -> Iterator[tuple[int, list[str]]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield int(path.parent.name), path.read_bytes().decode(errors="replace").split("\0")


def _is_in_a_pod(sandbox: Sandbox, pid: int) -> bool:
    with suppress(OSError):
        return f"/{sandbox.layout.node.cgroup}/" in Path(f"/proc/{pid}/cgroup").read_text()
    return False


def _is_the_nodes(sandbox: Sandbox, argv: list[str]) -> bool:
    return any(f"{sandbox.layout.state}/" in argument for argument in argv)


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """Stop servers, which then accept connections and respond to nothing."""
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
