"""Puts the stand-ins for Pulumi plugins where the engine finds them."""

from __future__ import annotations

import shlex
from importlib.metadata import version
from pathlib import Path

from sandbox.files import write_executable

_CHECKOUT = Path(__file__).parents[2]


def install(home: Path, bin_dir: Path, python: Path) -> None:
    """Write scripts that start the stand-ins to where the engine looks for plugins.

    Args:
        home: The engine's ``PULUMI_HOME``. Each resource plugin goes below it, under the version
            that the engine asks for: that of its SDK's package.
        bin_dir: The folder of the ``pulumi`` binary and of ``pulumi-language-python-exec``.
        python: The interpreter that runs the stand-ins.
    """
    for package in ("digitalocean", "random"):
        folder = home / "plugins" / f"resource-{package}-v{version(f'pulumi-{package}')}"
        _write(folder / f"pulumi-resource-{package}", python, f"{package}_plugin")
    executor = bin_dir / "pulumi-language-python-exec"
    _write(bin_dir / "pulumi-language-python", python, "language_host", executor)


def _write(script: Path, python: Path, module: str, *arguments: Path) -> None:
    # The working directory finds the module; a PYTHONPATH would be inherited by programs.
    command = shlex.join(
        [str(python), "-m", f"sandbox.engine.plugins.{module}", *(str(path) for path in arguments)]
    )
    text = f'#!/bin/sh\ncd {shlex.quote(str(_CHECKOUT))} && exec {command} "$@"\n'
    if script.exists() and script.read_text() == text:
        return
    # Never in place: another checkout may share the file by a hard link.
    write_executable(script, text)
