"""What a run has created, written down before it is created, and kept until all of it is gone.

A run is a folder: its journal, its private keys, and the state of its stack.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from live.commands import Commands, wait_for_others
from live.names import PREFIX, Run


class BusyError(Exception):
    """The run is still going on."""


@dataclass(frozen=True)
class Journal:
    """The journal of a run.

    Attributes:
        run: The run.
        folder: Its folder.
    """

    run: Run
    folder: Path

    @classmethod
    def begin(cls, home: Path, run: Run, **facts: str) -> Journal:
        """Create a run's folder, with facts such as the region; nothing else exists before."""
        journal = cls(run, home / run.name)
        journal.folder.mkdir(mode=0o700, parents=True)
        journal.write(**facts)
        for folder in (journal.folder, home, home.parent):
            _sync_folder(folder)
        return journal

    @classmethod
    def all(cls, home: Path) -> list[Journal]:
        """Return the journals of the runs that have left something, or may have."""
        folders = sorted(home.glob(f"{PREFIX}*/")) if home.exists() else []
        return [cls(Run(folder.name), folder) for folder in folders]

    @property
    def file(self) -> Path:
        """The file, with one JSON object a line."""
        return self.folder / "journal"

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of the run's cluster."""
        return self.folder / "kubeconfig"

    def write(self, **fact: str) -> None:
        """Add a line; it is on the disk when this returns."""
        descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(json.dumps(fact) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def creating(self, what: str) -> None:
        """Write down what is about to be created."""
        self.write(creating=what)

    def facts(self) -> dict[str, str]:
        """Return the facts, the last of each name; a line that was not written whole is none."""
        facts: dict[str, str] = {}
        for line in self._lines():
            facts |= line
        return facts

    def began(self, what: str) -> bool:
        """Return whether something may have been created."""
        return any(line.get("creating") == what for line in self._lines())

    def _lines(self) -> Iterator[dict[str, Any]]:
        text = self.file.read_text() if self.file.exists() else ""
        for line in text.splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)

    @contextmanager
    def held(self) -> Iterator[Commands]:
        """Hold the run, and yield what runs its commands; those of a killed run are ended before.

        Raises:
            BusyError: The run is still going on, or a command of its does not end.
        """
        pid = self.folder / "command.pid"
        with (self.folder / "lock").open("w") as own, (self.folder / "commands").open("w") as lock:
            try:
                fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError(f"{self.run.name} is still going on: stop it first") from None
            if not wait_for_others(lock, pid):
                raise BusyError(
                    f"{self.run.name} was killed, and a command of its has not ended: see what "
                    f"`fuser {lock.name}` shows, end that, and try again"
                )
            yield Commands(lock, pid)

    def end(self) -> None:
        """Forget the run, of which nothing is left."""
        shutil.rmtree(self.folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
