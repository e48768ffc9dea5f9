"""The stand-in for systemctl on a node, which has no systemd; its only unit is that of k3s.

A restart of it restarts containerd, which k3s starts, with what registries.yaml says then. It is
/usr/local/sbin/systemctl on the node, also for a pod that enters the node's root. Not covered:
everything else of k3s, which goes on running.
"""

from __future__ import annotations

import os
import shlex
import socket
import sys
import time
from pathlib import Path

from sandbox.layout import Layout, Node

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"

_WITHIN = 60.0
"""Seconds in which containerd must be back."""


def log(layout: Layout, node: Node) -> Path:
    """Return the path of the file with what a node's systemctl has restarted."""
    return layout.logs / f"systemctl-{node.name}.log"


def restarts(node: Node) -> Path:
    """Return the path of the FIFO by which a node's supervisor is asked to restart a process."""
    return node.folder / "restarts"


def script(layout: Layout, node: Node, containerd: str) -> str:
    """Return the shell script that starts this module as a node's ``systemctl``.

    Args:
        layout: The sandbox.
        node: One of its nodes.
        containerd: The name of its containerd's process.
    """
    argv = [
        *(sys.executable, "-m", "sandbox.k3s.systemctl", node.unit, str(log(layout, node))),
        *(str(restarts(node)), containerd),
    ]
    # PATH may be empty, and the working directory any.
    root = shlex.quote(str(Path(__file__).parents[2]))
    return f'#!/bin/sh\nPYTHONPATH={root} exec {shlex.join(argv)} "$@"\n'


def main() -> int:
    """Run one of systemctl's commands; return the exit status."""
    known, log_file, fifo, containerd, command, *_, unit = sys.argv[1:]
    if unit != known:
        print(f"stand-in for systemctl: no unit {unit}", file=sys.stderr)
        return 1
    if command == "show":
        print(f"ExecStart={{ path=/usr/local/bin/k3s ; argv[]=k3s {known} ; ignore_errors=no ; }}")
    if command == "restart":
        _restart(Path(fifo), containerd)
        with Path(log_file).open("a") as file:
            print(command, unit, file=file)
    return 0


def _restart(fifo: Path, containerd: str) -> None:
    before = _listening()
    # Without a supervisor at its other end, it is not even opened.
    descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    os.write(descriptor, f"{containerd}\n".encode())
    os.close(descriptor)
    limit = time.monotonic() + _WITHIN
    while _listening() in {None, before}:
        if time.monotonic() > limit:
            raise TimeoutError(f"containerd is not back after {_WITHIN:.0f} s")
        time.sleep(0.05)


def _listening() -> tuple[int, int] | None:
    """Return what tells one containerd's socket from the next one's; None if nobody listens."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(CONTAINERD_SOCKET)
        status = Path(CONTAINERD_SOCKET).stat()
    except OSError:
        return None
    return status.st_ino, status.st_ctime_ns


if __name__ == "__main__":
    sys.exit(main())
