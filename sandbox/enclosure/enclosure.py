"""The namespaces of a sandbox's nodes from the outside: start, find, enter and stop them.

supervisor.py runs inside, once for each node. Outside, a sandbox has one end of a veth pair and its
nodes' cgroups. The second node's processes are in the first one's namespace of process IDs, and so
end with these; its network is behind the first one's, by a veth pair of their own.
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
from sandbox.layout import Layout, Node, SandboxError

_PACKAGE_PARENT = Path(__file__).parents[2]

_CREATED_WITHIN = 10.0
"""Seconds for unshare to create the namespaces; it takes milliseconds."""

_KILLED_WITHIN = 10.0
"""Seconds for the kernel to kill all processes of a namespace whose PID 1 was killed."""


def start(layout: Layout, plan: Plan) -> None:
    """Start the first node's supervisor in new namespaces; connect these with the machine.

    Args:
        layout: The sandbox; nothing of it may be running.
        plan: The supervisor's input.

    Raises:
        SandboxError: The namespaces were not created.
        PermissionError: Not root.
    """
    init = _spawn(layout, layout.node, plan, [])
    interface, peer = layout.interface, NODE_INTERFACE
    _ip("link", "add", interface, "type", "veth", "peer", "name", peer, "netns", str(init))
    _ip("address", "add", f"{layout.machine_ip}/24", "dev", interface)
    _ip("link", "set", interface, "up")


def join(layout: Layout, plan: Plan) -> None:
    """Start the second node's supervisor, and connect it with the first node.

    The first node answers ARP for the second one, to which it has a route, and the other way round;
    so the machine and the cloud's stand-ins need no bridge.

    Args:
        layout: The sandbox; its first node runs, its second one does not.
        plan: The supervisor's input.

    Raises:
        SandboxError: The namespaces were not created.
    """
    node, outer = layout.second_node, find_init(layout.node)
    init = _spawn(layout, node, plan, ["nsenter", f"--target={outer}", "--pid"])
    peer = ("peer", "name", NODE_INTERFACE, "netns", str(init))
    _ip("link", "add", node.name, "netns", str(outer), "type", "veth", *peer)
    for command in (
        # For packets that the first node masquerades.
        f"ip address add {layout.node_ip}/32 dev {node.name}",
        f"ip link set {node.name} up",
        f"ip route add {node.ip}/32 dev {node.name}",
        f"ip route add {node.pods} via {node.ip} dev {node.name} onlink",
        f"sysctl --quiet --write net.ipv4.conf.{node.name}.proxy_arp=1",
        f"sysctl --quiet --write net.ipv4.conf.{NODE_INTERFACE}.proxy_arp=1",
    ):
        subprocess.run(["nsenter", f"--target={outer}", "--net", *command.split()], check=True)


def _spawn(layout: Layout, node: Node, plan: Plan, inside: list[str]) -> int:
    """Start a supervisor in new namespaces, with a command's prefix; return its process ID."""
    plan.write(_plan_file(node))
    layout.logs.mkdir(exist_ok=True)
    cgroups.create(node.cgroup)
    path = f"{layout.tools}:{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/sbin"
    with log_file(layout, node).open("wb") as log:
        subprocess.run(
            [
                *(*inside, "setsid", "--fork"),
                *("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc"),
                # When unshare ends, so does PID 1, and the kernel kills everything inside.
                *("--kill-child=SIGKILL", "--propagation=private"),
                *_argv(node),
            ],
            check=True,
            cwd=_PACKAGE_PARENT,
            env={"PATH": path, "HOME": str(Path.home())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    return _wait_for_network(layout, node)


def stop(layout: Layout) -> None:
    """Stop all processes in order, and remove interface and cgroup; harmless if nothing runs.

    Args:
        layout: The sandbox; up, partly up, or down.

    Raises:
        SandboxError: A process does not end.
    """
    for node in (layout.second_node, layout.node):
        stop_node(node)
    remove_interface(layout.interface)


def stop_node(node: Node) -> None:
    """Stop all processes of a node in order, and remove its cgroup; harmless if nothing runs.

    Raises:
        SandboxError: A process does not end.
    """
    if init := find_init(node):
        os.kill(init, signal.SIGTERM)
        groups = len({x.stop for x in Plan.read(_plan_file(node)).processes})
        _gone(node, (groups + 1) * STOP_WITHIN)
    # A supervisor that still runs had its time; what it started dies with its namespace.
    for pid in find_all(node):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not _gone(node, _KILLED_WITHIN):
        raise SandboxError(f"processes {find_all(node)} of {node.name} do not end")
    cgroups.remove(node.cgroup)


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


def find_all(node: Node) -> list[int]:
    """Return the process IDs of unshare and supervisor, by their argv; none if nothing runs.

    A PID file would be less reliable: the process that starts them may be killed before it writes.
    """
    tail = b"\0".join(x.encode() for x in _argv(node)[1:]) + b"\0"
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if (process / "cmdline").read_bytes().endswith(tail):
                pids.append(int(process.name))
    return pids


def find_init(node: Node) -> int:
    """Return the process ID of the supervisor, which is PID 1 of its namespace; 0 if none runs."""
    for pid in find_all(node):
        with suppress(FileNotFoundError, ProcessLookupError):
            status = Path(f"/proc/{pid}/status").read_text()
            # proc(5): the IDs of the process in its namespaces, the innermost last.
            inside = status.partition("NSpid:")[2].partition("\n")[0].split()
            if len(inside) > 1 and inside[-1] == "1":
                return pid
    return 0


def enter(node: Node) -> list[str]:
    """Return the prefix of a command that is to run inside a node's namespaces.

    Raises:
        SandboxError: The node is not up.
    """
    if not (init := find_init(node)):
        raise SandboxError(f"the node of {node.folder} is not up")
    return ["nsenter", f"--target={init}", "--mount", "--net", "--pid"]


def is_marked_ready(layout: Layout) -> bool:
    """Return whether :func:`mark_ready` was called for the running sandbox."""
    init = find_init(layout.node)
    return bool(init) and _ready_mark(init).exists()


def mark_ready(layout: Layout) -> None:
    """Mark the sandbox as ready, by a file in its own /run, which ends with it.

    Raises:
        OSError: It ended meanwhile.
    """
    _ready_mark(find_init(layout.node)).touch()


def log_file(layout: Layout, node: Node) -> Path:
    """Return the path of the log of a node's supervisor."""
    return layout.logs / f"supervisor-{node.name}.log"


def _ready_mark(init: int) -> Path:
    return Path(f"/proc/{init}/root/run/ready")


def _plan_file(node: Node) -> Path:
    return node.folder.with_suffix(".json")


def _argv(node: Node) -> list[str]:
    return [sys.executable, "-m", "sandbox.enclosure.supervisor", str(_plan_file(node))]


def _wait_for_network(layout: Layout, node: Node) -> int:
    """Wait until PID 1 has a network namespace of its own; return its ID on the machine."""
    machine = Path("/proc/self/ns/net").readlink()
    limit = time.monotonic() + _CREATED_WITHIN
    while time.monotonic() < limit:
        with suppress(FileNotFoundError):
            init = find_init(node)
            if init and Path(f"/proc/{init}/ns/net").readlink() != machine:
                return init
        time.sleep(0.005)
    raise SandboxError(f"the namespaces could not be created: {log_file(layout, node).read_text()}")


def _gone(node: Node, seconds: float) -> bool:
    limit = time.monotonic() + seconds
    while (pids := find_all(node)) and time.monotonic() < limit:
        time.sleep(0.02)
    return not pids


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
