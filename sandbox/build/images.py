"""Container images of the sandbox, made of what the machine has: no registry is asked.

Each lies as an OCI archive of one layer in ``Layout.tools/images``.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox.build import oci
from sandbox.build.oci import File, write_archive
from sandbox.build.pinned_tools import TOOLS
from sandbox.files import write_public
from sandbox.progress import step

_PYTHON = ("python3-minimal", "libpython3-stdlib")
"""Debian's Python with all of its standard library, but for Tk, venv and the like."""

_NOT_NEEDED = {"debconf", "dpkg", "install-info", "mailcap", "media-types", "mime-support", "tar"}
"""What those depend on for their installation, or for a desktop, only."""

_DROPPED = ("usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/lintian/")
"""Folders of packages that no program reads."""

_MERGED = ("bin", "lib", "lib64", "sbin")
"""Links to the folder of the same name in /usr, as Debian's base-files makes them."""


@dataclass(frozen=True)
class Image:
    """An image as it is to be.

    Attributes:
        name: Its name, under ``localhost/``.
        version: Its tag.
        binary: The tool that is its only program, at ``/bin/<name>``; None for the Python image.
    """

    name: str
    version: str
    binary: str | None

    @property
    def ref(self) -> str:
        """The reference by which pods use it."""
        return f"localhost/{self.name}:{self.version}"


def _versions() -> dict[str, str]:
    return {x.name: x.version or "1" for x in TOOLS}


IMAGES = {
    **{
        name: Image(name, _versions()[name], name)
        for name in ("pause", "registry", "whoami", "coredns", "traefik")
    },
    "python": Image("python", "3", None),
}
"""All images by name."""

REGISTRY, PYTHON = IMAGES["registry"].ref, IMAGES["python"].ref
"""What the program runs in the sandbox: the registry, and its proof's Python."""


def archive_path(tools: Path, name: str) -> Path:
    """Say where an image's OCI archive lies.

    Args:
        tools: ``Layout.tools``.
        name: A key of :data:`IMAGES`. The file of ``whoami`` is also what stands in for
            ``docker.io/containous/whoami``: push it to the stand-in registry.
    """
    return tools / "images" / f"{name}.tar"


def build(tools: Path) -> None:
    """Write the archives that are missing or whose inputs changed.

    Args:
        tools: ``Layout.tools``, with the tools built.

    Raises:
        FileNotFoundError: A tool was not built yet.
        subprocess.CalledProcessError: Debian's packages for the Python image cannot be had.
    """
    (tools / "images").mkdir(parents=True, exist_ok=True)
    for image in IMAGES.values():
        target = archive_path(tools, image.name)
        inputs = _inputs(image, tools)
        record = target.with_suffix(".fingerprint")
        if target.exists() and record.exists() and record.read_text() == inputs:
            continue
        record.unlink(missing_ok=True)
        with step(f"building image {image.ref}"):
            if image.binary:
                program = f"bin/{image.name}"
                files = [File("bin", mode=0o755), File(program, tools / image.binary, 0o755)]
                command = [f"/{program}"]
            else:
                files, command = _python_files(), ["/usr/bin/python3"]
            # The registry's command is left to the pod, as its path is what the program sets.
            entry = {} if image.name == "registry" else {"Entrypoint": command}
            new = target.with_suffix(".new")
            write_archive(new, image.ref, files, entry)
            new.replace(target)
        write_public(record, inputs)


def _inputs(image: Image, tools: Path) -> str:
    """Tell one state of an image's inputs from another, without reading its big files."""
    recipe = [Path(__file__), Path(oci.__file__)]
    told = [image.ref, *(hashlib.sha256(x.read_bytes()).hexdigest() for x in recipe)]
    if image.binary:
        state = (tools / image.binary).stat()
        told.append(f"{state.st_size} {state.st_mtime_ns}")
    else:
        told.append(Path("/etc/os-release").read_text())
    return "\n".join(told)


def _python_files() -> list[File]:
    """Take Python out of the packages of the machine's own release."""
    files = {x: File(x, link=f"usr/{x}") for x in _MERGED}
    with tempfile.TemporaryDirectory() as folder:
        # As root, apt-get would download as the user _apt, who may not write here: as it is told.
        argv = ["apt-get", "--quiet=2", "-o", "APT::Sandbox::User=root", "download"]
        packages = _closure(_dependencies(), _PYTHON)
        subprocess.run([*argv, *packages], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        for package in sorted(Path(folder).glob("*.deb")):
            opened = subprocess.run(
                ["dpkg-deb", "--fsys-tarfile", package], check=True, capture_output=True
            )
            with tarfile.open(fileobj=io.BytesIO(opened.stdout)) as tar:
                files |= {x.path: x for x in _contents(tar)}
    return list(files.values())


def _dependencies() -> dict[str, list[str]]:
    """Ask apt what depends on what, from Python on down."""
    no = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
    listed = subprocess.run(
        ["apt-cache", "depends", "--recurse", *(f"--no-{x}" for x in no), *_PYTHON],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, list[str]] = {}
    for line in listed.stdout.splitlines():
        if not line.startswith(" "):
            found[line] = needs = []
        elif "Depends: " in line:
            needs.append(line.partition("Depends: ")[2])
    return found


def _closure(dependencies: dict[str, list[str]], roots: Iterable[str]) -> list[str]:
    """List all packages that the roots need; virtual ones, in angle brackets, are nothing."""
    todo, closure = list(roots), set[str]()
    while todo:
        package = todo.pop()
        if package not in closure | _NOT_NEEDED and not package.startswith("<"):
            closure.add(package)
            todo += dependencies.get(package, [])
    return sorted(closure)


def _contents(tar: tarfile.TarFile) -> Iterator[File]:
    for entry in tar:
        path = entry.name.removeprefix("./").rstrip("/")
        if path.partition("/")[0] in _MERGED:
            path = f"usr/{path}"
        if not path or f"{path}/".startswith(_DROPPED):
            continue
        if entry.issym():
            yield File(path, link=entry.linkname)
        elif entry.isdir():
            yield File(path, mode=entry.mode)
        elif content := tar.extractfile(entry):
            yield File(path, content.read(), entry.mode)
