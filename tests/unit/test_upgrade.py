"""Which revision `make upgrade` starts from."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.upgrade import __main__ as upgrade

Git = Callable[..., None]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Return a function that runs git in a repository with two commits."""
    monkeypatch.setattr(upgrade, "ROOT", tmp_path)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]

    def run(*command: str) -> None:
        subprocess.run(["git", *who, *command], cwd=tmp_path, check=True, capture_output=True)

    run("init")
    for message in ("first", "second"):
        run("commit", "--allow-empty", "--message", message)
    return run


def test_as_long_as_there_is_no_release_it_is_the_commit_before(
    git: Git, capsys: pytest.CaptureFixture[str]
) -> None:
    git("tag", "nightly", "HEAD^1")
    assert upgrade.base_revision(None) == "HEAD^1"
    assert "no release yet" in capsys.readouterr().out


def test_it_is_the_last_release_before_this_commit(git: Git) -> None:
    """A release is upgraded to from the one before it, and not from itself."""
    git("tag", "v0.1.0", "HEAD^1")
    assert upgrade.base_revision(None) == "v0.1.0"
    git("tag", "v0.2.0")
    assert upgrade.base_revision(None) == "v0.1.0"
    git("commit", "--allow-empty", "--message", "third")
    assert upgrade.base_revision(None) == "v0.2.0"


def test_a_revision_that_somebody_asks_for_goes_first(git: Git) -> None:
    git("tag", "v0.1.0", "HEAD^1")
    assert upgrade.base_revision("main") == "main"
