"""Commands never reach beyond the sandbox, and only one at a time changes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sandbox import __main__ as commands
from sandbox import lifecycle
from sandbox.layout import Layout
from sandbox.lock import exclusive

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with this Makefile, whose sandbox fails, and a `pulumi` that leaves a mark."""
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    for requirements in REPOSITORY.glob("requirements*.txt"):
        (tmp_path / requirements.name).touch()
    for path, text in (
        ("venv/bin/python", "echo 'error: sandbox is down' >&2; exit 1"),
        ("bin/pulumi", f"touch {tmp_path}/pulumi-ran"),
    ):
        script = tmp_path / path
        script.parent.mkdir(parents=True)
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
    (tmp_path / "venv/.installed").touch()
    return tmp_path


def run(checkout: Path, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{checkout}/bin:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", command],
        cwd=checkout,
        env=os.environ | {"PATH": path} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("target", ["preview", "destroy"])
def test_without_a_sandbox_make_runs_no_pulumi_at_all(checkout: Path, target: str) -> None:
    result = run(checkout, f"make {target}")
    assert result.returncode != 0
    assert "error: sandbox is down" in result.stderr
    assert not (checkout / "pulumi-ran").exists(), "it would work on the caller's own stack"


def test_without_a_sandbox_the_evaluated_environment_is_a_failure(checkout: Path) -> None:
    result = run(checkout, 'eval "$(make -s env)" && pulumi destroy')
    assert result.returncode != 0
    assert "error: sandbox is down" in result.stderr
    assert not (checkout / "pulumi-ran").exists()


def test_without_a_virtual_environment_it_is_a_failure_too(checkout: Path) -> None:
    (checkout / "venv/.installed").unlink()
    result = run(checkout, 'eval "$(make -s env PYTHON=/bin/false)" && pulumi destroy')
    assert result.returncode != 0
    assert not (checkout / "pulumi-ran").exists()


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A sandbox that is down."""
    layout = Layout(tmp_path, "sandbox", 7)
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    monkeypatch.setattr(lifecycle, "claim", lambda *_: layout)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return layout


@pytest.mark.usefixtures("layout")
@pytest.mark.parametrize(
    "command", ["preview", "destroy", "shell", "env", "status", "smoke-test", "doctor"]
)
def test_what_uses_a_sandbox_fails_while_it_is_down(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*arguments: object) -> None:
        pytest.fail(f"it ran {arguments}")

    monkeypatch.setattr(os, "execve", never)
    monkeypatch.setattr(subprocess, "run", never)
    monkeypatch.setattr(sys, "argv", ["sandbox", command])
    with pytest.raises(SystemExit, match="error: sandbox is down; to start it: make up"):
        commands.main()
    assert not capsys.readouterr().out


@pytest.mark.parametrize("command", ["up", "down", "wipe"])
def test_what_changes_a_sandbox_waits_for_another_that_does(
    layout: Layout,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    order = []
    changed = lambda _layout: order.append(command)  # noqa: E731
    monkeypatch.setitem(commands.COMMANDS, command, changed)
    monkeypatch.setattr(commands, "_CHANGING", (changed,))
    monkeypatch.setattr(sys, "argv", ["sandbox", command])
    second = threading.Thread(target=commands.main)
    with exclusive(layout.lock, "not expected"):
        second.start()
        output = ""
        while "waiting for it" not in output:
            output += capfd.readouterr().out
        order.append("first")
    second.join()
    assert order == ["first", command]
