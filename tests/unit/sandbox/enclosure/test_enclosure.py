"""What is left of a sandbox's network is taken away."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sandbox.enclosure import enclosure


def test_an_interface_that_vanishes_meanwhile_is_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = [True, False]
    monkeypatch.setattr(Path, "exists", lambda _: there.pop(0))

    def gone(*arguments: str) -> None:
        raise subprocess.CalledProcessError(1, ["ip", *arguments])

    monkeypatch.setattr(enclosure, "_ip", gone)
    enclosure.remove_interface("sandbox0")
    assert not there, "it must look again after the failure"


def test_an_interface_that_stays_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: True)

    def refused(*arguments: str) -> None:
        raise subprocess.CalledProcessError(1, ["ip", *arguments])

    monkeypatch.setattr(enclosure, "_ip", refused)
    with pytest.raises(subprocess.CalledProcessError):
        enclosure.remove_interface("sandbox0")
