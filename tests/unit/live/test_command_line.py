"""What `make live` and `make live-clean` ask, say and refuse."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from live import __main__ as command_line
from live import asking
from live.asking import UsageError, consent
from live.journal import Journal
from live.names import Run
from live.running import Steps
from tests.unit.live.world import OTHER_RUN, FakeCommands, Killed, World
from tests.unit.sandbox.conftest import TOKEN


@pytest.fixture
def live(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Return the command, in the world of a test."""
    monkeypatch.setattr(command_line, "HOME", world.home)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/it")
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", TOKEN)
    monkeypatch.setenv("DIGITALOCEAN_API_URL", world.access.api_endpoint)
    monkeypatch.setenv("SPACES_ENDPOINT_URL", world.access.spaces_endpoint)
    monkeypatch.setattr("live.cleaning.LATE_SECONDS", 0)
    held = Journal.held

    @contextmanager
    def fake(journal: Journal) -> Iterator[FakeCommands]:
        with held(journal):
            yield FakeCommands(world, journal)

    monkeypatch.setattr(Journal, "held", fake)
    roots = world.home.parent / "roots.pem"
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = {number: signal.getsignal(number) for number in numbers}

    def command(*words: str) -> int:
        more = [f"--acme-roots={roots}"] if words[0] == "run" else []
        return command_line.main([*words, *more])

    yield command
    for number, handler in before.items():
        signal.signal(number, handler)


Command = Callable[..., int]


def test_a_run_passes_and_leaves_nothing_but_its_transcript(
    world: World, live: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    before = world.everything()
    assert live("run", "--yes") == 0
    output = capsys.readouterr().out
    (transcript,) = world.home.iterdir()
    assert f"passed; transcript: {transcript}" in output
    assert "creating the droplet" in transcript.read_text()
    assert TOKEN not in transcript.read_text() + output
    namespaces = {x for x in world.namespaces if x.endswith("-pods")}
    assert world.everything() == sorted([*before, *namespaces])


def test_a_run_that_fails_says_why_and_leaves_nothing(
    world: World, live: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> str:
        raise KeyError("a fault of its own")

    monkeypatch.setattr(Steps, "_wait_until_active", fail)
    assert live("run", "--yes") == 1
    output = capsys.readouterr()
    assert "FAILED: 'a fault of its own'" in output.out
    assert "the run failed" in output.err
    assert not Journal.all(world.home)
    assert {x["name"] for x in world.cloud.droplets()} == {OTHER_RUN}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM])
def test_a_signal_ends_the_run_and_then_no_signal_ends_the_deleting(
    world: World,
    live: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    def signalled(*_: object) -> str:
        os.kill(os.getpid(), number)
        raise AssertionError

    monkeypatch.setattr(Steps, "_wait_until_active", signalled)
    delete = world.cloud.__class__.delete

    def delete_signalled(*args: Any) -> None:
        os.kill(os.getpid(), number)
        delete(*args)

    monkeypatch.setattr("live.cloud.Cloud.delete", delete_signalled)
    assert live("run", "--yes") == 1
    output = capsys.readouterr().out
    reason = "out of time" if number == signal.SIGALRM else number.name
    assert f"FAILED: {reason}" in output
    assert "this goes on deleting" in output
    assert not Journal.all(world.home)
    assert {x["name"] for x in world.cloud.droplets()} == {OTHER_RUN}


def test_what_is_left_of_a_killed_run_keeps_the_next_one_from_beginning(
    world: World, live: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    before = world.everything()
    world.kill_at = len(world.events) + 5
    with pytest.raises(Killed):
        live("run", "--yes")
    # No process can kill itself in the middle of a function: the run has deleted what it had.
    world.kill_at = -1
    (journal,) = Journal.all(world.home)
    world.steps(journal).cloud.create_ssh_key(journal.run, "ssh-ed25519 AAAA0042 x")
    assert live("run", "--yes") == 1
    assert f"{journal.run.name} is going on, or has left something" in capsys.readouterr().err
    assert live("clean") == 0
    assert f"nothing is left of {journal.run.name}" in capsys.readouterr().out
    assert world.everything() == before


def test_runs_of_other_machines_are_told_and_deleted_on_demand_only(
    world: World, live: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    before = world.everything()
    assert live("clean") == 0
    output = capsys.readouterr().out
    assert "no run has left anything that this machine knows of" in output
    assert f"{OTHER_RUN}\n" in output
    assert "make live-clean RUN=<name>" in output
    assert world.everything() == before
    world.spaces.pop(f"{OTHER_RUN}-zzzzzzzz")
    assert live("clean", f"--run={OTHER_RUN}") == 0
    assert f"nothing is left of {OTHER_RUN}" in capsys.readouterr().out
    left = [x for x in world.everything() if OTHER_RUN in x and x not in world.namespaces]
    # An SSH key with another name is not the run's; nor is the Space of somebody else.
    assert not left


def test_a_run_that_is_going_on_is_not_cleaned_up(
    world: World, live: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal.begin(world.home, Run.new(), region="nyc3")
    with journal.held():
        assert live("clean") == 1
    assert f"{journal.run.name} is still going on: stop it first" in capsys.readouterr().err


def test_without_a_token_nothing_begins(
    live: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DIGITALOCEAN_TOKEN")
    assert live("run", "--yes") == live("clean") == 1
    assert "expected a DigitalOcean API token in DIGITALOCEAN_TOKEN" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--size=s-none"], "--size s-none: DigitalOcean has no such droplet in nyc3"),
        (["--region=sfo2"], "--size s-2vcpu-4gb: DigitalOcean has no such droplet in sfo2"),
        (["--config=digitalocean:token=x"], "the token is in the environment only"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_created(
    world: World,
    live: Command,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    error: str,
) -> None:
    before = len(world.events)
    assert live("run", "--yes", *words) == 1
    assert error in capsys.readouterr().err
    assert len(world.events) == before
    assert not world.home.exists()


def test_a_token_without_the_scopes_is_told_which(
    live: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "another")
    assert live("run", "--yes") == 1
    error = capsys.readouterr().err
    assert "droplet:create" in error
    assert "spaces_key:create_credentials" in error


def test_a_missing_command_is_named(
    live: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name != "podman" or None)
    assert live("run", "--yes") == 1
    assert "not found: podman" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "begins"), [("yes", True), ("y", False), ("", False)])
def test_a_person_is_asked_and_must_type_yes(
    world: World,
    live: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    *,
    begins: bool,
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert (live("run") == 0) == begins
    assert bool([x for x in world.events if "v2/droplets" in x and "POST" in x]) == begins
    assert "0.0357 USD an hour" in capsys.readouterr().out


def test_nobody_to_ask_is_no_consent(
    live: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    assert live("run") == 1
    assert "make live YES=1" in capsys.readouterr().err


def test_the_question_says_what_is_created_and_what_it_costs_at_most() -> None:
    asked = consent("fra1", "s-2vcpu-4gb", 0.03571)
    for said in ("in fra1", "a droplet (s-2vcpu-4gb), 0.0357 USD an hour", "0.04 USD", "5 USD"):
        assert said in asked
    assert "droplet" not in consent("fra1", None, 0)


def test_no_kubeconfig_is_no_cluster(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--kubeconfig"):
        asking._kubeconfig(tmp_path / "missing")
