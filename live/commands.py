"""Runs commands, each in a session of its own, so that Ctrl-C reaches the run alone."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]

STOP_SECONDS = 120
"""For a command to end after SIGINT: the engine waits for what its providers are doing."""

OTHERS_SECONDS = 420
"""For commands of a killed run, and what they started."""

_EXCERPT = 3000
"""Characters of a failed command's output."""


class CommandError(Exception):
    """A command failed; says which, and the end of its output."""


class Commands:
    """The commands of a run.

    Args:
        lock: A locked file. Each command inherits it, as does all that it starts; so the lock is
            held until the last of them has ended (flock(2)), also if this process is killed.
        pid: Where the process ID of the command under way is written to.
    """

    def __init__(self, lock: IO[str], pid: Path) -> None:
        self._lock = lock
        self._pid = pid

    def run(
        self,
        *argv: str | Path,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        seconds: float = 60,
        fails: bool = False,
    ) -> str:
        """Run a command, and return its output.

        Args:
            argv: The command; secrets come by stdin.
            env: Its environment, by default this process's.
            stdin: Its standard input.
            seconds: How long it may take.
            fails: It must fail, and both of its outputs are returned.

        Raises:
            CommandError: It failed, or did not, or has not ended in time.
        """
        name = " ".join(map(str, argv[:3]))
        process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=(self._lock.fileno(),),
        )
        self._pid.write_text(str(process.pid))
        try:
            output, errors = process.communicate(stdin, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise CommandError(f"{name} ... has not ended within {seconds:.0f} s") from None
        finally:
            stop(process)
            # Later, another process may have the number.
            self._pid.unlink(missing_ok=True)
        if (process.returncode != 0) != fails:
            what = "has not failed, as it should" if fails else "failed"
            raise CommandError(f"{name} ... {what}:\n{(output + errors)[-_EXCERPT:]}")
        return output + errors if fails else output


def stop(process: subprocess.Popen[str]) -> None:
    """End a command, if it runs: by SIGINT, which lets the engine save its state, or SIGKILL."""
    if process.poll() is None:
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=STOP_SECONDS)
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_others(lock: IO[str], pid: Path, seconds: float = OTHERS_SECONDS) -> bool:
    """Take the lock, for which the command is ended that a killed run has left.

    The command is interrupted, and once it is gone, or does not go, what it has started is killed:
    plugins of an engine take minutes to notice its end.

    Args:
        lock: The file that commands inherit.
        pid: The file with the process ID of the last one.
        seconds: How long all that may take.

    Returns:
        Whether all have ended.
    """
    started = time.monotonic()
    interrupted = False
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        holders = _holders(Path(lock.name))
        # Empty, if the run was killed while it wrote.
        command = int((pid.read_text() if pid.exists() else "") or 0)
        waited = time.monotonic() - started
        if command in holders and waited < STOP_SECONDS:
            if not interrupted:
                _signal(command, signal.SIGINT)
            interrupted = True
        else:
            for holder in holders:
                _signal(holder, signal.SIGKILL)
        if waited > seconds:
            return False
        time.sleep(0.2)


def _holders(lock: Path) -> list[int]:
    """Return the processes that have inherited a file, which are those of the run alone.

    Only Linux tells; elsewhere they are waited for.
    """
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        # Processes come and go meanwhile, and some cannot be read.
        with suppress(OSError):
            files = (file.readlink() for file in (process / "fd").iterdir())
            if int(process.name) != os.getpid() and lock.resolve() in files:
                pids.append(int(process.name))
    return pids


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
