"""A sandbox's namespaces as seen from the machine: start, find, enter and end them.

Inside runs supervisor.py. What they have on the machine besides is a cable (a veth pair) and a
cgroup.
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
from sandbox.enclosure.namespaces import CABLE_END
from sandbox.enclosure.supervisor import STOP_WITHIN, Plan
from sandbox.layout import Layout, SandboxError

_PACKAGE_PARENT = Path(__file__).parents[2]

_MADE_WITHIN = 10.0
"""Seconds for unshare to make the namespaces; a few milliseconds are usual."""

_KILLED_WITHIN = 10.0
"""Seconds for the kernel to end all processes of a namespace whose PID 1 was killed."""


def start(layout: Layout, plan: Plan) -> None:
    """Start the supervisor in new namespaces, and connect those with the machine.

    Args:
        layout: The sandbox, of which nothing must run.
        plan: What the supervisor is to do.

    Raises:
        SandboxError: The namespaces were not made.
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
                # Whatever ends unshare ends PID 1, and with it the kernel ends everything inside.
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
    near = layout.interface
    _ip("link", "add", near, "type", "veth", "peer", "name", CABLE_END, "netns", str(init))
    _ip("address", "add", f"{layout.machine_ip}/24", "dev", near)
    _ip("link", "set", near, "up")


def stop(layout: Layout) -> None:
    """End all processes in order, and take away what else there is; harmless when nothing is.

    Args:
        layout: The sandbox, up, half up, or down.

    Raises:
        SandboxError: A process would not end.
    """
    if init := find_init(layout):
        os.kill(init, signal.SIGTERM)
        groups = len({x.stop for x in Plan.read(_plan_file(layout)).processes})
        _gone(layout, (groups + 1) * STOP_WITHIN)
    # The supervisor had its time, or is lost; what it started dies with its namespace.
    for pid in find_all(layout):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not _gone(layout, _KILLED_WITHIN):
        raise SandboxError(f"processes {find_all(layout)} do not end")
    remove_interface(layout.interface)
    cgroups.remove(layout.cgroup)


def remove_interface(name: str) -> None:
    """Take an interface away; harmless when it is gone, or goes at this moment.

    Args:
        name: Such as ``Layout.interface``.
    """
    device = Path(f"/sys/class/net/{name}")
    if device.exists():
        try:
            _ip("link", "delete", name)
        except subprocess.CalledProcessError:
            # The kernel takes it away with its other end, when it gets to it.
            if device.exists():
                raise


def find_all(layout: Layout) -> list[int]:
    """Find the processes unshare and supervisor by their argv; none when nothing runs.

    A file could not say it as surely: whoever starts them may be killed before writing it.
    """
    tail = b"\0".join(x.encode() for x in _argv(layout)[1:]) + b"\0"
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if (process / "cmdline").read_bytes().endswith(tail):
                found.append(int(process.name))
    return found


def find_init(layout: Layout) -> int:
    """Find the supervisor that is PID 1 of its namespace; 0 when there is none."""
    for pid in find_all(layout):
        with suppress(FileNotFoundError, ProcessLookupError):
            status = Path(f"/proc/{pid}/status").read_text()
            # proc(5): the process' IDs in each namespace it is in, the innermost last.
            inside = status.partition("NSpid:")[2].partition("\n")[0].split()
            if len(inside) > 1 and inside[-1] == "1":
                return pid
    return 0


def enter(layout: Layout) -> list[str]:
    """Give the command before a command that is to run inside of the namespaces.

    Raises:
        SandboxError: The sandbox is not up.
    """
    if not (init := find_init(layout)):
        raise SandboxError(f"{layout.name} is not up")
    return ["nsenter", f"--target={init}", "--mount", "--net", "--pid"]


def is_marked_ready(layout: Layout) -> bool:
    """Say whether :func:`mark_ready` was called for what runs now."""
    init = find_init(layout)
    return bool(init) and _ready_mark(init).exists()


def mark_ready(layout: Layout) -> None:
    """Note that the sandbox came up; in its own /run, so that the note ends when it does.

    Raises:
        OSError: It ended meanwhile.
    """
    _ready_mark(find_init(layout)).touch()


def log_file(layout: Layout) -> Path:
    """Name the log of the supervisor itself."""
    return layout.logs / "supervisor.log"


def _ready_mark(init: int) -> Path:
    return Path(f"/proc/{init}/root/run/ready")


def _plan_file(layout: Layout) -> Path:
    return layout.state / "supervisor.json"


def _argv(layout: Layout) -> list[str]:
    return [sys.executable, "-m", "sandbox.enclosure.supervisor", str(_plan_file(layout))]


def _wait_for_network(layout: Layout) -> int:
    """Wait until PID 1 is in a network of its own, and give its ID on the machine."""
    machine = Path("/proc/self/ns/net").readlink()
    limit = time.monotonic() + _MADE_WITHIN
    while time.monotonic() < limit:
        with suppress(FileNotFoundError):
            init = find_init(layout)
            if init and Path(f"/proc/{init}/ns/net").readlink() != machine:
                return init
        time.sleep(0.005)
    raise SandboxError(f"no namespaces could be made: {log_file(layout).read_text()}")


def _gone(layout: Layout, seconds: float) -> bool:
    limit = time.monotonic() + seconds
    while (there := find_all(layout)) and time.monotonic() < limit:
        time.sleep(0.02)
    return not there


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
