"""The Debian packages that the sandbox needs from the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.progress import say, step

_PACKAGES = {
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "ipset": "ipset",
    "ip": "iproute2",
    "conntrack": "conntrack",
    "modprobe": "kmod",
    "unshare": "util-linux",
    "mount": "mount",
    "skopeo": "skopeo",
    "podman": "podman",
    "/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
}
"""A command, or a file, and the package that contains it, in Debian and Ubuntu."""


_LOCK_SECONDS = 600
"""How long apt-get waits for another one to end: apt.conf(5), ``DPkg::Lock::Timeout``."""


class PackagesMissingError(RuntimeError):
    """Packages are missing and cannot be installed; the message names them."""


def missing(packages: Mapping[str, str] = _PACKAGES) -> list[str]:
    """Return the missing packages, in alphabetical order."""
    return sorted(package for need, package in packages.items() if not _has(need))


def install(needed: Mapping[str, str] = _PACKAGES) -> None:
    """Install the missing packages, after a message that says so.

    Args:
        needed: A command, or a file, and the package that contains it.

    Raises:
        PackagesMissingError: Not root, no apt-get, or apt-get failed.
    """
    if not (packages := missing(needed)):
        return
    line = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise PackagesMissingError(f"packages are missing; as root, on Debian or Ubuntu: {line}")
    with step(f"installing Debian packages: {' '.join(packages)}"):
        say(f"installing Debian packages: {' '.join(packages)}")
        if error := _with_lists("install", "--yes", "--no-install-recommends", *packages):
            raise PackagesMissingError(f"`{line}` failed:\n{error}")


def download(packages: Sequence[str], folder: Path) -> None:
    """Download packages into an existing folder.

    Raises:
        PackagesMissingError: apt-get failed.
    """
    if error := _with_lists("download", *packages, folder=folder):
        raise PackagesMissingError(f"`apt-get download {' '.join(packages)}` failed:\n{error}")


def unpack(package: str, folder: Path) -> None:
    """Unpack a package into an existing folder, and install nothing.

    Raises:
        PackagesMissingError: apt-get failed.
    """
    download([package], folder)
    (file,) = folder.glob(f"{package}_*.deb")
    subprocess.run(["dpkg-deb", "--extract", file, folder], check=True)
    file.unlink()


def _has(need: str) -> bool:
    return Path(need).exists() if need.startswith("/") else shutil.which(need) is not None


def _with_lists(*args: str, folder: Path | None = None) -> str:
    """Run apt-get, once more with new lists if they are missing or older than the mirror."""
    error = _apt(*args, folder=folder)
    return error and (_apt("update") or _apt(*args, folder=folder))


def _apt(*args: str, folder: Path | None = None) -> str:
    """Run apt-get; return its output if it fails, else nothing."""
    # Another apt-get, such as that of a second `up`, is waited for. By default root's apt-get
    # downloads as the user _apt, who cannot write to every folder.
    options = (f"DPkg::Lock::Timeout={_LOCK_SECONDS}", "APT::Sandbox::User=root")
    result = subprocess.run(
        ["apt-get", "--quiet=2", *(word for x in options for word in ("-o", x)), *args],
        cwd=folder,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return result.stdout or "no output" if result.returncode else ""
