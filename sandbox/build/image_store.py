"""containerd's files with all images in them: imported once, and linked into each sandbox.

An import takes seconds of both cores, links take none. No process writes to an image's files, which
are addressed by their content or lie below what pods write to; only the databases are copied.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from sandbox.build.images import IMAGES, archive_path
from sandbox.build.oci import digest
from sandbox.files import write_public
from sandbox.layout import SandboxError
from sandbox.lock import exclusive
from sandbox.progress import step

_RECORD = "sandbox-images"
"""The file that says which images are in a store; it is written last."""

_CONFIG = """\
version = 3
disabled_plugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.cri.v1.images",
  "io.containerd.cri.v1.runtime",
]
"""

_START_SECONDS = 30

_BUSY = "another sandbox of this checkout is using the images"


def build(tools: Path) -> None:
    """Import all images, unless that has been done.

    Args:
        tools: ``Layout.tools``, with the images' archives.

    Raises:
        SandboxError: containerd does not start, or rejects an image.
    """
    store = _store(tools)
    wanted = "\n".join(f"{x.ref} {digest(archive_path(tools, x.name))}" for x in IMAGES.values())
    with exclusive(tools / "lock", _BUSY):
        if _recorded(store) == wanted:
            return
        shutil.rmtree(store, ignore_errors=True)
        with step("importing images"):
            _import(tools, store)
        write_public(store / _RECORD, wanted)


def link(tools: Path, target: Path) -> None:
    """Link all images into the folder of a node's containerd, unless it has these already.

    If it has others, all that it has is replaced.

    Args:
        tools: ``Layout.tools``, with the images imported.
        target: The folder in which containerd, which does not run, keeps its files.
    """
    store = _store(tools)
    with exclusive(tools / "lock", _BUSY):
        wanted = _recorded(store)
        assert wanted  # noqa: S101 (build wrote it)
        if _recorded(target) == wanted:
            return
        shutil.rmtree(target, ignore_errors=True)
        others = shutil.ignore_patterns(_RECORD)
        shutil.copytree(store, target, symlinks=True, ignore=others, copy_function=_link)
        write_public(target / _RECORD, wanted)


def _link(source: str, target: str) -> None:
    if source.endswith(".db"):
        shutil.copy2(source, target)
    else:
        os.link(source, target)


def _store(tools: Path) -> Path:
    return tools / "images" / "containerd"


def _recorded(store: Path) -> str:
    record = store / _RECORD
    return record.read_text() if record.exists() else ""


def _import(tools: Path, store: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        config, socket, log = (Path(folder, x) for x in ("config.toml", "socket", "log"))
        config.write_text(_CONFIG)
        command = [
            # It must not outlive this process, whatever kills that: it would hold the files.
            *("setpriv", "--pdeathsig=KILL"),
            # What containerd mounts meanwhile is of no concern to the machine.
            *(
                "unshare",
                "--mount",
                str(tools / "containerd"),
                f"--config={config}",
                f"--root={store}",
            ),
            *(f"--state={folder}/state", f"--address={socket}", "--log-level=error"),
        ]
        ctr = [str(tools / "ctr"), f"--address={socket}", "--namespace=k8s.io"]
        with log.open("w") as output, subprocess.Popen(command, stderr=output) as daemon:
            try:
                _wait([*ctr, "version"], daemon, log)
                for archive in (archive_path(tools, name) for name in IMAGES):
                    run = subprocess.run(
                        [*ctr, "images", "import", archive], capture_output=True, text=True
                    )
                    if run.returncode:
                        raise SandboxError(f"containerd rejects {archive}: {run.stderr}")
            finally:
                daemon.terminate()


def _wait(succeeds: list[str], daemon: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + _START_SECONDS
    while subprocess.run(succeeds, capture_output=True).returncode:
        if daemon.poll() is not None or time.monotonic() > limit:
            raise SandboxError(f"containerd does not start:\n{log.read_text()}")
        time.sleep(0.05)
