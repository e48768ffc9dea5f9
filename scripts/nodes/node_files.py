"""Read and write files of a node whose root is mounted in a pod.

What is not a plain file is refused.
"""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import NamedTuple

from scripts.nodes.own_file import RefusedError

MAX_BYTES = 100_000
"""Nobody's configuration is larger. PyYAML takes up to 400 bytes of memory for each byte, and the
pod has 128 MiB."""

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    ":/run/current-system/sw/bin",  # NixOS
    # Or systemctl takes the node's root for a chroot without a running systemd, and does nothing:
    # https://github.com/systemd/systemd/blob/main/docs/ENVIRONMENT.md
    "SYSTEMD_IGNORE_CHROOT": "1",
}

COMMAND_SECONDS = 300
"""How long a command on the node may take, such as the restart of k3s."""


class Change(NamedTuple):
    """A file as it is, and as it must be; None for no file."""

    path: Path
    current: bytes | None
    wanted: bytes | None


def on_node(node: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command of the node in the node's root; its systemctl talks to its systemd."""

    def enter() -> None:
        os.chroot(node)
        os.chdir("/")

    return subprocess.run(
        command,
        env=ENVIRONMENT,
        preexec_fn=enter,
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


def is_linked(node: Path, path: Path) -> bool:
    """Return whether a path leads through a symbolic link, which may lead elsewhere in the pod."""
    return any((node / part).is_symlink() for part in [path, *path.parents])


def read(node: Path, path: Path) -> bytes | None:
    """Return the content of a file; None if there is none.

    Raises:
        RefusedError: There is something else, or it is too large to be parsed.
    """
    if is_linked(node, path):
        result = on_node(node, "cat", f"/{path}")
        if result.returncode:
            raise RefusedError(f"/{path}: a symbolic link of it leads to no file")
        return result.stdout
    try:
        status = (node / path).lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError(f"/{path}: it is not a file")
    if status.st_size > MAX_BYTES:
        raise RefusedError(f"/{path}: it is larger than {MAX_BYTES} bytes")
    return (node / path).read_bytes()


def require_replaceable(node: Path, path: Path) -> None:
    """Raise RefusedError if a path is not that of the file itself."""
    if is_linked(node, path):
        raise RefusedError(f"/{path}: it is a symbolic link, or behind one")


def write(node: Path, change: Change) -> None:
    """Replace a file in one step, by one for root only; or delete it.

    Raises:
        RefusedError: It changed meanwhile.
    """
    path = node / change.path
    new = path.with_name(f".{path.name}.new")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if change.wanted is not None:
            _prepare(new, change.wanted)
        if read(node, change.path) != change.current:
            raise RefusedError(f"/{change.path}: somebody changed it just now")
        if change.wanted is None:
            path.unlink()
        else:
            new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _prepare(new: Path, content: bytes) -> None:
    new.unlink(missing_ok=True)  # of a run that was killed
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
