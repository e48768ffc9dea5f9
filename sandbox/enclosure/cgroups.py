"""The cgroup of a sandbox's pods; version 1, version 2, or both side by side."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")

_GONE_WITHIN = 5.0
"""Seconds for killed processes to leave their group."""


def create(name: str, root: Path = ROOT) -> None:
    """Create the group: kubelet requires that its ``cgroupRoot`` exists.

    Args:
        name: One path segment.
        root: The mount point of cgroups.

    Raises:
        OSError: Not root, or the cgroups are read-only.
    """
    for hierarchy in _hierarchies(root):
        # Version 2: a controller is in a group only if the parent hands it down.
        if (known := hierarchy / "cgroup.controllers").exists():
            for controller in known.read_text().split():
                with suppress(OSError):  # kubelet reports what it lacks
                    (hierarchy / "cgroup.subtree_control").write_text(f"+{controller}")
        (hierarchy / name).mkdir(exist_ok=True)
        # Version 1: a new group has no CPU and no memory node until they are set.
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / setting).exists() and not known.exists():
                (hierarchy / name / setting).write_text((hierarchy / setting).read_text())


def remove(name: str, root: Path = ROOT) -> None:
    """Remove the group and all groups within it; harmless if it does not exist.

    Args:
        name: As for :func:`create`.
        root: As for :func:`create`.

    Raises:
        OSError: A group still has processes.
    """
    limit = time.monotonic() + _GONE_WITHIN
    for hierarchy in _hierarchies(root):
        top = hierarchy / name
        if top.exists():
            # Deepest first; a group's files are the kernel's and go with it.
            inner = sorted((x for x in top.rglob("*") if x.is_dir()), reverse=True)
            for group in [*inner, top]:
                _remove(group, limit)


def _hierarchies(root: Path) -> Iterator[Path]:
    """Yield the trees of groups: one in version 2, one for each controller in version 1."""
    if (root / "cgroup.controllers").exists():
        yield root
    else:
        yield from (x for x in sorted(root.iterdir()) if x.is_dir() and not x.is_symlink())


def _remove(group: Path, limit: float) -> None:
    while True:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.02)
        else:
            return
