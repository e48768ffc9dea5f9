"""Built tools from an archive: the very archive, and only what this checkout would build."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sandbox.build import archive, pinned_tools, toolchain
from sandbox.build.pinned_tools import Tool, ToolchainError

TOOLS = tuple(Tool(name, ".") for name in ("one", "two"))


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of two tools' sources."""
    monkeypatch.setattr(pinned_tools, "SOURCES", tmp_path / "sources")
    monkeypatch.delenv(archive.VARIABLE, raising=False)
    for tool in TOOLS:
        tool.source.mkdir(parents=True)
        (tool.source / "go.mod").write_text("module example\n\ngo 1.26\n")
    return tmp_path / "sources"


@pytest.fixture
def built(sources: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of what is built from now on."""
    names: list[str] = []

    def build(tool: Tool, tools: Path, _flags: object) -> None:
        names.append(tool.name)
        (tools / tool.name).write_text(f"{tool.name} of {sources.parent}")
        (tools / tool.name).chmod(0o755)

    monkeypatch.setattr(toolchain, "_build", build)
    monkeypatch.setattr("sandbox.build.compiler.provide", lambda *_: None)
    monkeypatch.setattr(subprocess, "run", lambda argv, **_: subprocess.CompletedProcess(argv, 0))
    return names


@pytest.fixture
def value(tmp_path: Path, built: list[str]) -> str:
    """Return what SANDBOX_TOOLS takes: an archive of both tools."""
    toolchain.build(tmp_path / "first", TOOLS, ())
    built.clear()
    return archive.write(tmp_path / "first", tmp_path / "dist")


def test_another_machine_builds_nothing(
    tmp_path: Path, value: str, built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(archive.VARIABLE, value)
    tools = tmp_path / "second"
    toolchain.build(tools, TOOLS, ())
    assert not built
    assert (tools / "one").read_text() == (tmp_path / "first" / "one").read_text()
    assert (tools / "one").stat().st_mode & 0o777 == 0o755
    Path(value.partition("#")[0]).unlink()
    toolchain.build(tools, TOOLS, ())
    assert not built, "what has been taken is not fetched again"


def test_what_this_checkout_builds_from_other_sources_is_built(
    tmp_path: Path, value: str, built: list[str], sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive of another revision is no reason to run what this one does not pin."""
    monkeypatch.setenv(archive.VARIABLE, value)
    (sources / "two" / "go.sum").write_text("a newer version\n")
    for _ in range(2):
        toolchain.build(tmp_path / "second", TOOLS, ())
    assert built == ["two"]


def test_what_is_current_stays(
    tmp_path: Path, value: str, built: list[str], sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "second"
    (sources / "two" / "go.sum").write_text("a newer version\n")
    toolchain.build(tools, (TOOLS[1],), ())
    monkeypatch.setenv(archive.VARIABLE, value)
    toolchain.build(tools, TOOLS, ())
    assert built == ["two"], "built once, and neither overwritten nor built again"


@pytest.mark.parametrize("damage", ["truncated", "another"])
def test_an_archive_of_another_digest_is_refused_and_nothing_of_it_stays(
    tmp_path: Path, value: str, built: list[str], monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """What is in it runs as root."""
    file = Path(value.partition("#")[0])
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        value = f"{file}#sha256={'0' * 64}"
    monkeypatch.setenv(archive.VARIABLE, value)
    tools = tmp_path / "second"
    with pytest.raises(ToolchainError, match=r"is not the archive .* only a part of it"):
        toolchain.build(tools, TOOLS, ())
    assert not built
    assert [x.name for x in tools.iterdir()] == ["lock"]


@pytest.mark.parametrize(
    "value",
    ["tools.tar.gz", "tools.tar.gz#sha256=12", f"http://example.com/tools#sha256={'0' * 64}"],
)
def test_a_value_without_a_digest_or_without_tls_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(ToolchainError, match=r"expected <file or https URL>#sha256=<64 hexa"):
        archive.take(tmp_path, value, ())


def test_an_archive_that_cannot_be_had_is_an_error_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"SANDBOX_TOOLS: /nowhere: .*No such file"):
        archive.take(tmp_path, f"/nowhere#sha256={'0' * 64}", ())


def test_tools_of_the_machine_are_not_in_it(tmp_path: Path, value: str, built: list[str]) -> None:
    """A link leads to nothing on another machine."""
    first = tmp_path / "first"
    (first / "one").unlink()
    (first / "one").symlink_to("/usr/bin/true")
    assert archive.write(first, tmp_path / "dist") != value
    assert not built
    archive.take(first, archive.write(first, tmp_path / "dist"), ())
    assert (first / "one").is_symlink()


def test_a_built_tool_is_never_written_to(
    tmp_path: Path, value: str, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkouts that share it by hard links, and processes that run it, keep what they have."""
    tools, other = tmp_path / "second", tmp_path / "other"
    tools.mkdir()
    other.write_text("built before")
    (tools / "one").hardlink_to(other)
    monkeypatch.setenv(archive.VARIABLE, value)
    assert sources.exists()
    toolchain.build(tools, TOOLS, ())
    assert other.read_text() == "built before"
    assert (tools / "one").read_text() != "built before"
