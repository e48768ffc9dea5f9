"""Builds the sandbox's tools from the Go modules pinned under ``tools/``.

A tool is built again only when its sources, flags or compiler change. Go's build cache makes the
build in a second checkout on the same machine fast.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sandbox.build.pinned_tools import COPIES, SOURCES, TOOLS, Copy, Tool, ToolchainError, pinned
from sandbox.files import write_public
from sandbox.lock import exclusive
from sandbox.progress import say, step

__all__ = ["ToolchainError", "build"]

_TAIL = 20
"""Lines of a failed build that are shown."""

_ENVIRONMENT = os.environ | {"CGO_ENABLED": "0"}
"""Static, so that the same binary runs on the machine and alone in an image."""


def build(tools: Path, selection: Sequence[Tool] = TOOLS, copies: Sequence[Copy] = COPIES) -> None:
    """Build what is missing or outdated, one tool at a time: Go uses all cores for one.

    Args:
        tools: ``Layout.tools``; created if missing.
        selection: The tools; by default those of every sandbox.
        copies: The files to copy; likewise.

    Raises:
        ToolchainError: No suitable Go, or a build failed.
    """
    with exclusive(tools / "lock", "another sandbox of this checkout is building the tools"):
        wanted = [x for x in selection if not (x.may_be_on_path and _from_path(x, tools))]
        compiler = _compiler(wanted[0].source) if wanted else ""
        inputs = {x: fingerprint(x, compiler) for x in wanted}
        outdated = [x for x in wanted if not _is_current(tools, x.name, inputs[x])]
        for tool, flags, progress in _with_progress(outdated, tools):
            with step(progress):
                _build(tool, tools, flags)
            write_public(_record(tools, tool.name), inputs[tool])
        for tool in wanted:
            for alias in tool.aliases:
                _link(tools / alias, tool.name)
        for copy in copies:
            version = f"{pinned(SOURCES / copy.folder, copy.module)} {copy.path}"
            if not _is_current(tools, copy.name, version):
                _copy(copy, tools)
                write_public(_record(tools, copy.name), version)


def fingerprint(tool: Tool, compiler: str) -> str:
    """Return a hash of a tool's inputs: sources, flags and compiler.

    Args:
        tool: The tool.
        compiler: The output of ``go version``.
    """
    inputs = hashlib.sha256(json.dumps([compiler, tool.package, tool.flags()]).encode())
    for path in sorted([*tool.source.glob("go.*"), *tool.source.rglob("*.go")]):
        inputs.update(f"\0{path.relative_to(tool.source)}\0".encode())
        inputs.update(path.read_bytes())
    return inputs.hexdigest()


def _compiler(folder: Path) -> str:
    """Return the output of ``go version``, which checks the minimum version in a go.mod."""
    minimum = re.search(r"^go (\S+)", (folder / "go.mod").read_text(), re.MULTILINE)
    need = (
        f"the sandbox's tools need Go {minimum[1] if minimum else ''} or newer (https://go.dev/dl)"
    )
    if not shutil.which("go"):
        raise ToolchainError(f"no `go` on PATH: {need}")
    result = subprocess.run(["go", "version"], cwd=folder, capture_output=True, text=True)
    if result.returncode:
        raise ToolchainError(f"{need}: {result.stderr.strip()}")
    return result.stdout.strip()


def _record(tools: Path, name: str) -> Path:
    """Return the file that records what a tool was made from."""
    return tools / f".{name}.fingerprint"


def _is_current(tools: Path, name: str, inputs: str) -> bool:
    record = _record(tools, name)
    return (tools / name).exists() and record.exists() and record.read_text() == inputs


def _with_progress(outdated: Sequence[Tool], tools: Path) -> Iterator[tuple[Tool, list[str], str]]:
    """Yield each tool to build, its additional flags, and a text with a new estimate."""
    flags = {x: _replacement_flags(x, tools) for x in outdated}
    # Downloads mostly wait for the network: they go on beside the first builds.
    threading.Thread(target=_download, args=(flags,), daemon=True).start()
    start = time.monotonic()
    for number, tool in enumerate(outdated):
        elapsed = time.monotonic() - start
        done = sum(x.cpu_seconds for x in outdated[:number])
        left = sum(x.cpu_seconds for x in outdated[number:])
        pace = elapsed / done if done else 1 / (os.cpu_count() or 1)
        yield (
            tool,
            flags[tool],
            f"tool {number + 1} of {len(outdated)}, {minutes(elapsed)} elapsed, "
            f"about {minutes(left * pace)} left: {tool.name} {tool.version}".rstrip(),
        )


def minutes(seconds: float) -> str:
    """Render a duration as one reads a clock: ``7:05``."""
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"


def _download(flags: Mapping[Tool, list[str]]) -> None:
    """Download the modules of the tools; whatever fails is left to the build."""
    for tool, more in flags.items():
        argv = ["go", "list", "-deps", "-mod=readonly", *more, tool.package]
        subprocess.run(argv, cwd=tool.source, env=_ENVIRONMENT, capture_output=True, check=False)


def _replacement_flags(tool: Tool, tools: Path) -> list[str]:
    """Return the flags of ``go`` for a tool's replaced file: Go has none for a file in its cache.

    They name a copy of go.mod that leads to a copy of the module.
    """
    if not (replaced := tool.replacement):
        return []
    copy, modfile = tools / f".{tool.name}-module", tools / f".{tool.name}.mod"
    shutil.rmtree(copy, ignore_errors=True)
    module = _module_folder(tool.source, replaced.module)
    # Without the mode: Go's module cache is read-only.
    subprocess.run(["cp", "-r", "--no-preserve=mode", module, copy], check=True)
    shutil.copyfile(tool.source / replaced.by, copy / replaced.path)
    go_mod = (tool.source / "go.mod").read_text()
    modfile.write_text(f"{go_mod}\nreplace {replaced.module} => {copy}\n")
    shutil.copyfile(tool.source / "go.sum", modfile.with_suffix(".sum"))
    return [f"-modfile={modfile}"]


def _build(tool: Tool, tools: Path, flags: Sequence[str]) -> None:
    new = tools / f"{tool.name}.new"
    argv = ["go", "build", *tool.flags(), *flags, "-o", str(new), tool.package]
    run = subprocess.run(
        argv,
        cwd=tool.source,
        env=_ENVIRONMENT,
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


def _copy(copy: Copy, tools: Path) -> None:
    new = tools / f"{copy.name}.new"
    # Without the mode: Go's module cache is read-only.
    shutil.copyfile(_module_folder(SOURCES / copy.folder, copy.module) / copy.path, new)
    new.replace(tools / copy.name)


def _module_folder(source: Path, module: str) -> Path:
    """Return the folder of a module in Go's cache, downloading it if need be."""
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
