"""What a run says."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path


class Transcript:
    """Shows steps with the time since the start, and keeps them in a file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line with the time since the start, and write it down."""
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        line = f"[{minutes:2}:{seconds:02}] {text}"
        # Deleting goes on where the terminal is closed, or the disk is full.
        with suppress(OSError):
            print(line, flush=True)
        with suppress(OSError), self._path.open("a") as file:
            file.write(line + "\n")
