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
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sandbox.build.pinned_tools import COPIES, SOURCES, TOOLS, Copy, Tool, ToolchainError, pinned
from sandbox.files import write_public
from sandbox.lock import exclusive
from sandbox.progress import say, step

__all__ = ["ToolchainError", "build"]

_TAIL = 20
"""Lines of a failed build that are shown."""


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
        compiler = ""
        for tool in selection:
            if tool.may_be_on_path and _from_path(tool, tools):
                continue
            compiler = compiler or _compiler(tool.source)
            _update(tools, tool.name, fingerprint(tool, compiler), partial(_build, tool, tools))
            for alias in tool.aliases:
                _link(tools / alias, tool.name)
        for copy in copies:
            version = pinned(SOURCES / copy.folder, copy.module)
            _update(tools, copy.name, f"{version} {copy.path}", partial(_copy, copy, tools))


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


def _update(tools: Path, name: str, inputs: str, make: Callable[[], None]) -> None:
    """Make a file unless it exists and was made from the same inputs."""
    record = tools / f".{name}.fingerprint"
    if (tools / name).exists() and record.exists() and record.read_text() == inputs:
        return
    record.unlink(missing_ok=True)
    make()
    write_public(record, inputs)


def _build(tool: Tool, tools: Path) -> None:
    new = tools / f"{tool.name}.new"
    argv = ["go", "build", *tool.flags(), "-o", str(new), tool.package]
    # Static, so that the same binary runs on the machine and alone in an image.
    environment = os.environ | {"CGO_ENABLED": "0"}
    with step(f"building {tool.name} {tool.version}".rstrip()):
        run = subprocess.run(
            argv,
            cwd=tool.source,
            env=environment,
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
    result = subprocess.run(
        ["go", "mod", "download", "-json", copy.module],
        cwd=SOURCES / copy.folder,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise ToolchainError(f"{copy.module} could not be downloaded: {result.stderr.strip()}")
    new = tools / f"{copy.name}.new"
    # Without the mode: Go's module cache is read-only.
    shutil.copyfile(Path(json.loads(result.stdout)["Dir"]) / copy.path, new)
    new.replace(tools / copy.name)


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
