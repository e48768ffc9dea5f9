"""Commands end with their run, or before what it has left is deleted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from live import commands
from live.commands import ROOT, CommandError
from live.journal import BusyError, Journal
from live.names import Run

CHILD = """\
import signal, subprocess, sys, time
def end(*_):
    open("ended", "w").write("by SIGINT")
    sys.exit()
signal.signal(signal.SIGINT, end if sys.argv[1] == "polite" else signal.SIG_IGN)
if sys.argv[1] == "plugin":
    # As the engine starts plugins: in a group of their own.
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.Popen(["sleep", "60"], start_new_session=True, close_fds=False, **nowhere)
    sys.exit()
open("started", "w").write("yes")
time.sleep(60)
"""

RUN = """\
import sys
from pathlib import Path
from live.journal import Journal
from live.names import Run
journal = Journal(Run(sys.argv[2]), Path(sys.argv[1]))
with journal.held() as commands:
    commands.run(sys.executable, "-c", Path("child.py").read_text(), sys.argv[3])
"""


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    return Journal.begin(tmp_path / ".live", Run.new(), region="nyc3")


@pytest.fixture
def killed(journal: Journal, tmp_path: Path) -> Callable[[str], None]:
    """Return a function that kills a run in the middle of a command of a kind."""
    (tmp_path / "child.py").write_text(CHILD)
    code = f"from live import commands; commands.ROOT = {str(tmp_path)!r}\n" + RUN

    def kill(kind: str) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", code, journal.folder, journal.run.name, kind],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
        )
        while not (tmp_path / "started").exists():
            time.sleep(0.01)
        with pytest.raises(BusyError, match="is still going on"), journal.held():
            pass
        process.kill()
        process.wait()

    return kill


def test_a_command_of_a_killed_run_is_interrupted_before_anything_is_deleted(
    journal: Journal, killed: Callable[[str], None], tmp_path: Path
) -> None:
    killed("polite")
    with journal.held():
        assert (tmp_path / "ended").read_text() == "by SIGINT"


def test_a_command_that_ignores_interrupts_is_killed(
    journal: Journal, killed: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed("deaf")
    pid = int((journal.folder / "command.pid").read_text())
    monkeypatch.setattr(commands, "STOP_SECONDS", 0.1)
    with journal.held():
        assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()


def left_by_a_plugin(journal: Journal) -> list[int]:
    """Return the processes that a command has left, which has ended."""
    with journal.held() as run:
        run.run(sys.executable, "-c", CHILD, "plugin")
    return commands._holders(journal.folder / "commands")


def test_what_a_command_has_started_is_killed_before_anything_is_deleted(journal: Journal) -> None:
    assert left_by_a_plugin(journal)
    with journal.held():
        assert not commands._holders(journal.folder / "commands")


def test_a_run_is_not_deleted_as_long_as_something_of_it_is_there(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the system does not tell which processes these are."""
    monkeypatch.setattr(commands.wait_for_others, "__defaults__", (0.1,))
    (holder,) = left_by_a_plugin(journal)
    left = "was killed, and a command of its has not ended"
    with monkeypatch.context() as patch:
        patch.setattr(commands, "_holders", lambda _: [])
        with pytest.raises(BusyError, match=left), journal.held():
            pass
    os.kill(holder, signal.SIGKILL)


def test_another_process_that_has_a_commands_number_by_now_is_left_alone(
    journal: Journal,
) -> None:
    assert left_by_a_plugin(journal)
    other = subprocess.Popen(["sleep", "60"])
    (journal.folder / "command.pid").write_text(str(other.pid))
    with journal.held():
        assert other.poll() is None
    other.kill()
    other.wait()


def test_a_command_gets_its_input_and_returns_its_output(journal: Journal) -> None:
    with journal.held() as run:
        assert run.run("cat", stdin="secret") == "secret"
        assert run.run("sh", "-c", "echo no >&2; exit 3", fails=True) == "no\n"


def test_a_command_that_fails_or_should_have_says_how(journal: Journal) -> None:
    with journal.held() as run:
        with pytest.raises(CommandError, match=r"sh -c echo why .* failed:\nwhy"):
            run.run("sh", "-c", "echo why >&2; exit 3")
        with pytest.raises(CommandError, match="has not failed, as it should"):
            run.run("true", fails=True)


def test_a_command_that_takes_too_long_is_ended(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with journal.held() as run, pytest.raises(CommandError, match="has not ended within 0 s"):
        run.run("sleep", "60", seconds=0.1)
    assert not (journal.folder / "command.pid").exists(), "the number may be another's soon"
    monkeypatch.setattr(commands.wait_for_others, "__defaults__", (1,))
    with journal.held():
        """Nothing holds it."""


def test_ctrl_c_ends_the_command_under_way_by_sigint_alone(
    journal: Journal, tmp_path: Path
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def press() -> None:
        while not (tmp_path / "started").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        threading.Thread(target=press).start()
        with journal.held() as run, pytest.raises(KeyboardInterrupt):
            run.run(sys.executable, "-c", CHILD, "polite")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (tmp_path / "ended").read_text() == "by SIGINT"
