"""Builds the sandbox's tools from the Go modules pinned under ``tools/``.

A tool is built again only when its sources, flags or compiler change. Go's own build cache makes
the second checkout on a machine quick.
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


def build(tools: Path, wanted: Sequence[Tool] = TOOLS, copies: Sequence[Copy] = COPIES) -> None:
    """Build what is missing or out of date, one tool at a time: Go uses all cores for one.

    Args:
        tools: ``Layout.tools``; made when missing.
        wanted: The tools; by default those of every sandbox.
        copies: The files that are copied; likewise.

    Raises:
        ToolchainError: No fitting Go, or a build failed.
    """
    with exclusive(tools / "lock", "another sandbox of this checkout is building the tools"):
        compiler = ""
        for tool in wanted:
            if tool.may_be_on_path and _from_path(tool, tools):
                continue
            compiler = compiler or _compiler(tool.source)
            _keep(tools, tool.name, fingerprint(tool, compiler), partial(_build, tool, tools))
            for alias in tool.aliases:
                _link(tools / alias, tool.name)
        for copy in copies:
            version = pinned(SOURCES / copy.folder, copy.module)
            _keep(tools, copy.name, f"{version} {copy.path}", partial(_copy, copy, tools))


def fingerprint(tool: Tool, compiler: str) -> str:
    """Tell one state of a tool's inputs from another.

    Args:
        tool: The tool.
        compiler: What ``go version`` says.

    Returns:
        A SHA-256, in hex, of sources, flags and compiler.
    """
    inputs = hashlib.sha256(json.dumps([compiler, tool.package, tool.flags()]).encode())
    for path in sorted([*tool.source.glob("go.*"), *tool.source.rglob("*.go")]):
        inputs.update(f"\0{path.relative_to(tool.source)}\0".encode())
        inputs.update(path.read_bytes())
    return inputs.hexdigest()


def _compiler(folder: Path) -> str:
    """Ask Go for its version where a go.mod says what it must at least be."""
    wanted = re.search(r"^go (\S+)", (folder / "go.mod").read_text(), re.MULTILINE)
    need = f"the sandbox's tools need Go {wanted[1] if wanted else ''} or newer (https://go.dev/dl)"
    if not shutil.which("go"):
        raise ToolchainError(f"no `go` on PATH: {need}")
    asked = subprocess.run(["go", "version"], cwd=folder, capture_output=True, text=True)
    if asked.returncode:
        raise ToolchainError(f"{need}: {asked.stderr.strip()}")
    return asked.stdout.strip()


def _keep(tools: Path, name: str, inputs: str, make: Callable[[], None]) -> None:
    """Make a file unless it is there and was made of the same inputs."""
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
    asked = subprocess.run(
        ["go", "mod", "download", "-json", copy.module],
        cwd=SOURCES / copy.folder,
        capture_output=True,
        text=True,
    )
    if asked.returncode:
        raise ToolchainError(f"{copy.module} could not be downloaded: {asked.stderr.strip()}")
    new = tools / f"{copy.name}.new"
    # Contents only: Go keeps its modules read-only.
    shutil.copyfile(Path(json.loads(asked.stdout)["Dir"]) / copy.path, new)
    new.replace(tools / copy.name)


def _from_path(tool: Tool, tools: Path) -> bool:
    """Use the tool that is on PATH, if it is of exactly the pinned version."""
    found = shutil.which(tool.name)
    if not found or Path(found).resolve().parent == tools.resolve():
        return False
    asked = subprocess.run([found, "version"], capture_output=True, text=True)
    if asked.returncode or asked.stdout.strip().removeprefix("v") != tool.version:
        return False
    if (tools / tool.name).resolve() != Path(found).resolve():
        say(f"using {found}, which is {tool.name} {tool.version} already")
        _link(tools / tool.name, found)
    return True


def _link(link: Path, target: str) -> None:
    if not link.is_symlink() or str(link.readlink()) != target:
        link.unlink(missing_ok=True)
        link.symlink_to(target)
