"""The stand-in for systemctl on the sandbox's node, which has no systemd; its only unit is k3s.

A restart of k3s applies registries.yaml. It is /usr/local/sbin/systemctl on the node, also for a
pod that enters the node's root. Not covered: everything else of k3s, which goes on running.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from sandbox.k3s import registries
from sandbox.layout import Layout

UNIT = "k3s"


def script(layout: Layout, node: Path) -> str:
    """Return the shell script that starts this module as ``systemctl``.

    Args:
        layout: The sandbox.
        node: The folder of the node's data and configuration.
    """
    argv = [
        *(sys.executable, "-m", "sandbox.k3s.systemctl", str(layout.logs / "systemctl.log")),
        *(str(node / "rancher" / "k3s"), str(node / "certs.d"), layout.docker_io_endpoint),
    ]
    # PATH may be empty, and the working directory any.
    root = shlex.quote(str(Path(__file__).parents[2]))
    return f'#!/bin/sh\nPYTHONPATH={root} exec {shlex.join(argv)} "$@"\n'


def main() -> int:
    """Run one of systemctl's commands; return the exit status."""
    log, k3s, hosts, docker_io, command, unit = sys.argv[1:]
    if unit != UNIT:
        print(f"stand-in for systemctl: no unit {unit}", file=sys.stderr)
        return 1
    if command == "restart":
        registries.apply(Path(k3s), Path(hosts), docker_io)
        with Path(log).open("a") as file:
            print(command, unit, file=file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
