"""A lock that one process at a time holds."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.progress import say


@contextmanager
def exclusive(path: Path, busy: str) -> Iterator[None]:
    """Hold a lock while the block runs; the kernel releases the lock of a process that is killed.

    Args:
        path: The lock file. It must never be deleted: a process that waits for a deleted file and
            one that creates it anew would both get the lock.
        busy: What another process is doing if this one has to wait, for the user.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{busy}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
