"""Files that are written completely or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, data: bytes | str) -> None:
    """Write a file that only its owner can read, at any time."""
    _write(path, data, 0o600)


def write_public(path: Path, data: bytes | str) -> None:
    """Write a file that everybody can read."""
    _write(path, data, 0o644)


def write_executable(path: Path, data: str) -> None:
    """Write a program that everybody can run."""
    _write(path, data, 0o755)


def _write(path: Path, data: bytes | str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another sandbox of the checkout may write the same file.
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
    new.replace(path)
