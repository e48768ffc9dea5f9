"""A sandbox's namespaces from the outside: start, find, enter and stop them.

supervisor.py runs inside. Outside, a sandbox has one end of a veth pair and a cgroup.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from sandbox.enclosure import cgroups
from sandbox.enclosure.namespaces import NODE_INTERFACE
from sandbox.enclosure.supervisor import STOP_WITHIN, Plan
from sandbox.layout import Layout, SandboxError

_PACKAGE_PARENT = Path(__file__).parents[2]

_CREATED_WITHIN = 10.0
"""Seconds for unshare to create the namespaces; it takes milliseconds."""

_KILLED_WITHIN = 10.0
"""Seconds for the kernel to kill all processes of a namespace whose PID 1 was killed."""


def start(layout: Layout, plan: Plan) -> None:
    """Start the supervisor in new namespaces, and connect these with the machine.

    Args:
        layout: The sandbox; nothing of it may be running.
        plan: The supervisor's input.

    Raises:
        SandboxError: The namespaces were not created.
        PermissionError: Not root.
    """
    plan.write(_plan_file(layout))
    layout.logs.mkdir(exist_ok=True)
    cgroups.create(layout.cgroup)
    path = f"{layout.tools}:{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/sbin"
    with log_file(layout).open("wb") as log:
        subprocess.run(
            [
                *("setsid", "--fork"),
                *("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc"),
                # When unshare ends, so does PID 1, and the kernel kills everything inside.
                *("--kill-child=SIGKILL", "--propagation=private"),
                *_argv(layout),
            ],
            check=True,
            cwd=_PACKAGE_PARENT,
            env={"PATH": path, "HOME": str(Path.home())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    init = _wait_for_network(layout)
    interface, peer = layout.interface, NODE_INTERFACE
    _ip("link", "add", interface, "type", "veth", "peer", "name", peer, "netns", str(init))
    _ip("address", "add", f"{layout.machine_ip}/24", "dev", interface)
    _ip("link", "set", interface, "up")


def stop(layout: Layout) -> None:
    """Stop all processes in order, and remove interface and cgroup; harmless if nothing runs.

    Args:
        layout: The sandbox; up, partly up, or down.

    Raises:
        SandboxError: A process does not end.
    """
    if init := find_init(layout):
        os.kill(init, signal.SIGTERM)
        groups = len({x.stop for x in Plan.read(_plan_file(layout)).processes})
        _gone(layout, (groups + 1) * STOP_WITHIN)
    # A supervisor that still runs had its time; what it started dies with its namespace.
    for pid in find_all(layout):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not _gone(layout, _KILLED_WITHIN):
        raise SandboxError(f"processes {find_all(layout)} do not end")
    remove_interface(layout.interface)
    cgroups.remove(layout.cgroup)


def remove_interface(name: str) -> None:
    """Remove an interface; harmless if it is gone, or disappears meanwhile.

    Args:
        name: Such as ``Layout.interface``.
    """
    device = Path(f"/sys/class/net/{name}")
    if device.exists():
        try:
            _ip("link", "delete", name)
        except subprocess.CalledProcessError:
            # The kernel removes it some time after its other end.
            if device.exists():
                raise


def find_all(layout: Layout) -> list[int]:
    """Return the process IDs of unshare and supervisor, by their argv; none if nothing runs.

    A PID file would be less reliable: the process that starts them may be killed before it writes.
    """
    tail = b"\0".join(x.encode() for x in _argv(layout)[1:]) + b"\0"
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if (process / "cmdline").read_bytes().endswith(tail):
                pids.append(int(process.name))
    return pids


def find_init(layout: Layout) -> int:
    """Return the process ID of the supervisor, which is PID 1 of its namespace; 0 if none runs."""
    for pid in find_all(layout):
        with suppress(FileNotFoundError, ProcessLookupError):
            status = Path(f"/proc/{pid}/status").read_text()
            # proc(5): the IDs of the process in its namespaces, the innermost last.
            inside = status.partition("NSpid:")[2].partition("\n")[0].split()
            if len(inside) > 1 and inside[-1] == "1":
                return pid
    return 0


def enter(layout: Layout) -> list[str]:
    """Return the prefix of a command that is to run inside the namespaces.

    Raises:
        SandboxError: The sandbox is not up.
    """
    if not (init := find_init(layout)):
        raise SandboxError(f"{layout.name} is not up")
    return ["nsenter", f"--target={init}", "--mount", "--net", "--pid"]


def is_marked_ready(layout: Layout) -> bool:
    """Return whether :func:`mark_ready` was called for the running sandbox."""
    init = find_init(layout)
    return bool(init) and _ready_mark(init).exists()


def mark_ready(layout: Layout) -> None:
    """Mark the sandbox as ready, by a file in its own /run, which ends with it.

    Raises:
        OSError: It ended meanwhile.
    """
    _ready_mark(find_init(layout)).touch()


def log_file(layout: Layout) -> Path:
    """Return the path of the supervisor's own log."""
    return layout.logs / "supervisor.log"


def _ready_mark(init: int) -> Path:
    return Path(f"/proc/{init}/root/run/ready")


def _plan_file(layout: Layout) -> Path:
    return layout.state / "supervisor.json"


def _argv(layout: Layout) -> list[str]:
    return [sys.executable, "-m", "sandbox.enclosure.supervisor", str(_plan_file(layout))]


def _wait_for_network(layout: Layout) -> int:
    """Wait until PID 1 has a network namespace of its own; return its ID on the machine."""
    machine = Path("/proc/self/ns/net").readlink()
    limit = time.monotonic() + _CREATED_WITHIN
    while time.monotonic() < limit:
        with suppress(FileNotFoundError):
            init = find_init(layout)
            if init and Path(f"/proc/{init}/ns/net").readlink() != machine:
                return init
        time.sleep(0.005)
    raise SandboxError(f"the namespaces could not be created: {log_file(layout).read_text()}")


def _gone(layout: Layout, seconds: float) -> bool:
    limit = time.monotonic() + seconds
    while (pids := find_all(layout)) and time.monotonic() < limit:
        time.sleep(0.02)
    return not pids


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
