"""An archive of built tools, with which a machine needs no compiler and no minutes.

``make tools-archive`` writes it. The environment variable ``SANDBOX_TOOLS`` names it, and its
digest: what is in it runs as root.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator
from pathlib import Path

from sandbox.build.pinned_tools import ToolchainError
from sandbox.files import write_public
from sandbox.progress import step

VARIABLE = "SANDBOX_TOOLS"

_SUFFIX = ".fingerprint"
_TAKEN = ".taken"
"""The file with the digest of the last archive that was taken: no archive is taken twice."""

_SECONDS = 60.0
"""Without a byte of a download."""


def record(tools: Path, name: str) -> Path:
    """Return the file that records what a tool was made from."""
    return tools / f".{name}{_SUFFIX}"


def is_current(tools: Path, name: str, inputs: str) -> bool:
    """Return whether a tool exists and was made from these inputs."""
    made_from = record(tools, name)
    return (tools / name).exists() and made_from.exists() and made_from.read_text() == inputs


def write(tools: Path, folder: Path) -> str:
    """Write an archive of all built tools; return the value of ``SANDBOX_TOOLS`` that takes it."""
    target = folder / f"sandbox-tools-{platform.machine()}.tar.gz"
    new = target.with_suffix(".new")
    folder.mkdir(parents=True, exist_ok=True)
    # Fast: the binaries are 670 MB, of which a slower compression saves little.
    with tarfile.open(new, "w:gz", compresslevel=3) as tar:
        for name in _names(tools):
            # A link leads to a tool of this machine's.
            if (tools / name).exists() and not (tools / name).is_symlink():
                tar.add(tools / name, name)
                tar.add(record(tools, name), record(tools, name).name)
    digest = _digest(new)
    new.replace(target)
    return f"{target}#sha256={digest}"


def take(tools: Path, source: str, current: Collection[str]) -> None:
    """Take the tools of an archive, unless they have been taken.

    Args:
        tools: ``Layout.tools``.
        source: The value of ``SANDBOX_TOOLS``: a file or an https URL, and ``#sha256=<digest>``.
        current: The tools that stay, as they are what they should be.

    Raises:
        ToolchainError: The value is wrong, or the archive cannot be had or has another digest.
    """
    place, _, digest = source.partition("#sha256=")
    if not re.fullmatch("[0-9a-f]{64}", digest) or ("://" in place and place[:8] != "https://"):
        raise ToolchainError(
            f"{VARIABLE}={source}: expected <file or https URL>#sha256=<64 hexadecimal digits>, "
            "as `make tools-archive` prints it"
        )
    taken = tools / _TAKEN
    if taken.exists() and taken.read_text() == digest:
        return
    with step(f"taking built tools from {place}"), tempfile.TemporaryDirectory(dir=tools) as new:
        file = Path(new) / "archive"
        _fetch(place, file)
        if (actual := _digest(file)) != digest:
            raise ToolchainError(
                f"{place} is not the archive that {VARIABLE} names, or only a part of it: "
                f"its digest is {actual}, not {digest}"
            )
        content = Path(new) / "content"
        with tarfile.open(file) as tar:
            # Absent in Python 3.11.3 and older, where extractall is what it does with this.
            tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
            tar.extractall(content)  # noqa: S202 (an archive of which we know the digest)
        for name in _names(content):
            if name not in current:
                _move(content, tools, name)
    write_public(taken, digest)


def _names(folder: Path) -> Iterator[str]:
    """Yield the names of what has a record."""
    for path in sorted(folder.glob(f".*{_SUFFIX}")):
        yield path.name.removeprefix(".").removesuffix(_SUFFIX)


def _move(content: Path, tools: Path, name: str) -> None:
    # In this order: a tool without its record is built again.
    record(tools, name).unlink(missing_ok=True)
    if (tools / name).is_dir():
        shutil.rmtree(tools / name)
    (content / name).replace(tools / name)
    record(content, name).replace(record(tools, name))


def _fetch(place: str, target: Path) -> None:
    try:
        if place.startswith("https://"):
            opened = urllib.request.urlopen(place, timeout=_SECONDS)  # noqa: S310 (https)
            with opened as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
        else:
            shutil.copyfile(Path(place).expanduser(), target)
    except (OSError, urllib.error.URLError) as error:
        raise ToolchainError(f"{VARIABLE}: {place}: {error}") from error


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
