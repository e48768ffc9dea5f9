"""The sandbox's names in the machine's hosts file.

Machine, node and containerd share that file, so that ``curl``, ``podman login`` and image pulls
resolve the registry's hostname alike.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sandbox.layout import Layout

HOSTS = Path("/etc/hosts")


def add(layout: Layout, path: Path = HOSTS) -> None:
    """Add the sandbox's names; harmless if they are there.

    Args:
        layout: The sandbox; its domain marks the lines.
        path: The hosts file.

    Raises:
        OSError: The file cannot be written.
    """
    lines = [f"{ip}\t{name}\t{_mark(layout)}\n" for name, ip in layout.hosts.items()]
    _replace_own_lines(layout, path, lines)


def remove(layout: Layout, path: Path = HOSTS) -> None:
    """Remove the sandbox's names; harmless if there are none.

    Args:
        layout: The sandbox.
        path: The hosts file.

    Raises:
        OSError: The file cannot be written.
    """
    _replace_own_lines(layout, path, [])


def _mark(layout: Layout) -> str:
    return f"# k3s-registry {layout.domain}"


def _replace_own_lines(layout: Layout, path: Path, own: list[str]) -> None:
    # In place, never by rename: in a container /etc/hosts is a bind mount, and a rename onto it
    # fails with EBUSY. The lock is on the file itself: sandboxes of all checkouts share it.
    with path.open("r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        old = file.read().decode()
        others = [
            x for x in old.splitlines(keepends=True) if not x.rstrip().endswith(_mark(layout))
        ]
        if own and others and not others[-1].endswith("\n"):
            others[-1] += "\n"
        new = "".join(others + own)
        if new != old:
            data = new.encode()
            os.pwrite(file.fileno(), data, 0)
            os.ftruncate(file.fileno(), len(data))
