"""The stand-in for systemctl on a node, which has no systemd; its only unit is that of k3s.

A restart of it applies registries.yaml. It is /usr/local/sbin/systemctl on the node, also for a
pod that enters the node's root. Not covered: everything else of k3s, which goes on running.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from sandbox.k3s import registries
from sandbox.layout import Layout, Node


def log(layout: Layout, node: Node) -> Path:
    """Return the path of the file with what a node's systemctl has restarted."""
    return layout.logs / f"systemctl-{node.name}.log"


def script(layout: Layout, node: Node) -> str:
    """Return the shell script that starts this module as a node's ``systemctl``."""
    k3s, hosts = node.folder / "rancher" / "k3s", node.folder / "certs.d"
    argv = [
        *(sys.executable, "-m", "sandbox.k3s.systemctl", node.unit, str(log(layout, node))),
        *(str(k3s), str(hosts), layout.docker_io_endpoint),
    ]
    # PATH may be empty, and the working directory any.
    root = shlex.quote(str(Path(__file__).parents[2]))
    return f'#!/bin/sh\nPYTHONPATH={root} exec {shlex.join(argv)} "$@"\n'


def main() -> int:
    """Run one of systemctl's commands; return the exit status."""
    known, log_file, k3s, hosts, docker_io, command, unit = sys.argv[1:]
    if unit != known:
        print(f"stand-in for systemctl: no unit {unit}", file=sys.stderr)
        return 1
    if command == "restart":
        registries.apply(Path(k3s), Path(hosts), docker_io)
        with Path(log_file).open("a") as file:
            print(command, unit, file=file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
