"""The sandbox's container images, built from its tools and Debian packages, without a registry.

Each is an OCI archive of one layer in ``Layout.tools/images``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.build import debian, oci
from sandbox.build.oci import File, write_archive
from sandbox.build.pinned_tools import (
    PYTHON_FILES,
    PYTHON_MODULE,
    SOURCES,
    TOOLS,
    TRAEFIK,
    Tool,
    Wheel,
    pinned,
)
from sandbox.files import write_public
from sandbox.lock import exclusive
from sandbox.progress import step

_LIBC = "libc6"
"""Debian's C library, which alone Python needs of the machine's release."""

_PYTHON = ("bin/python3", "lib/python3.")
"""What programs need of it: not Tcl, headers and pip's launchers."""

_DROPPED = ("usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/lintian/")
"""Folders that no program reads."""

_MERGED = ("bin", "lib", "lib64", "sbin")
"""Symbolic links to the folder of the same name in /usr, as in Debian's base-files."""


@dataclass(frozen=True)
class Image:
    """An image.

    Attributes:
        name: Its name, under ``localhost/``; also that of the tool in it.
        version: Its tag.
        program: Where its only program, the tool, goes; empty for the Python image.
        has_entrypoint: Whether it starts its program. Where the upstream image has no entrypoint,
            or another one, the pod must name the command.
        xattrs: Extended attributes of the program.
    """

    name: str
    version: str
    program: str = ""
    has_entrypoint: bool = True
    xattrs: Mapping[str, str] = field(default_factory=dict)

    @property
    def ref(self) -> str:
        """The reference for pods."""
        return f"localhost/{self.name}:{self.version}"


def _versions() -> dict[str, str]:
    released: tuple[Tool | Wheel, ...] = (*TOOLS, TRAEFIK)
    return {x.name: x.version or "1" for x in released}


_NET_BIND_SERVICE = {"security.capability": "\1\0\0\2\0\4" + 14 * "\0"}
"""``cap_net_bind_service=ep`` as setcap(8) writes it: ``vfs_cap_data`` of linux/capability.h.

As in Caddy's own image: where a pod drops all capabilities, the kernel refuses to start it.
https://github.com/caddyserver/caddy-docker/blob/master/Dockerfile.tmpl
"""

IMAGES = {
    image.name: image
    for image in (
        *(Image(x, _versions()[x], f"bin/{x}") for x in ("pause", "whoami", "coredns", "traefik")),
        Image("registry", _versions()["registry"], "bin/registry", has_entrypoint=False),
        Image("caddy", _versions()["caddy"], "usr/bin/caddy", False, _NET_BIND_SERVICE),
        Image("python", "3"),
    )
}
"""All images by name."""

REGISTRY, CADDY, PYTHON = (IMAGES[x].ref for x in ("registry", "caddy", "python"))
"""The images that the program runs in the sandbox."""


def archive_path(tools: Path, name: str) -> Path:
    """Return the path of an image's OCI archive.

    Args:
        tools: ``Layout.tools``.
        name: A key of :data:`IMAGES`.
    """
    return tools / "images" / f"{name}.tar"


def build(tools: Path) -> None:
    """Write the archives that are missing or outdated.

    Args:
        tools: ``Layout.tools``, with the tools built.

    Raises:
        FileNotFoundError: A tool does not exist.
        PackagesMissingError: Debian's packages for the Python image are not available.
        subprocess.CalledProcessError: They are not known, or are damaged.
    """
    with exclusive(tools / "lock", "another sandbox of this checkout is building the images"):
        for image in IMAGES.values():
            _build(image, tools)


def _build(image: Image, tools: Path) -> None:
    target = archive_path(tools, image.name)
    inputs = _inputs(image, tools)
    record = target.with_suffix(".fingerprint")
    if target.exists() and record.exists() and record.read_text() == inputs:
        return
    record.unlink(missing_ok=True)
    target.parent.mkdir(exist_ok=True)
    with step(f"building image {image.ref}"):
        if image.program:
            folders = [File(str(x), mode=0o755) for x in Path(image.program).parents]
            program = File(image.program, tools / image.name, 0o755, xattrs=image.xattrs)
            files, command = [*folders[-2::-1], program], [f"/{image.program}"]
        else:
            files, command = (
                [*_libc_files(), *_python_files(tools / PYTHON_FILES)],
                ["/usr/bin/python3"],
            )
        entry = {"Entrypoint": command} if image.has_entrypoint else {}
        new = target.with_suffix(".new")
        write_archive(new, image.ref, files, entry)
        new.replace(target)
    write_public(record, inputs)


def _inputs(image: Image, tools: Path) -> str:
    """Return a description of an image's inputs, without reading its large files."""
    recipe = [Path(__file__), Path(oci.__file__)]
    inputs = [image.ref, *(hashlib.sha256(x.read_bytes()).hexdigest() for x in recipe)]
    if image.program:
        state = (tools / image.name).stat()
        inputs.append(f"{state.st_size} {state.st_mtime_ns}")
    else:
        inputs += [Path("/etc/os-release").read_text(), pinned(SOURCES / "python", PYTHON_MODULE)]
    return "\n".join(inputs)


def _python_files(folder: Path) -> Iterator[File]:
    """Yield the files of Python from a folder of :data:`PYTHON_MODULE`."""
    yield File("usr/bin", mode=0o755)
    for entry in json.loads((folder / "files.json").read_text())["files"]:
        path = f"usr/{entry['name']}"
        if not entry["name"].startswith(_PYTHON):
            continue
        if link := entry.get("symlink"):
            yield File(path, link=link)
        elif entry.get("compressed"):
            content = gzip.decompress((folder / f"{entry['name']}.gz").read_bytes())
            yield File(path, content, entry["perm"] & 0o777)
        elif (folder / entry["name"]).is_dir():
            yield File(path, mode=0o755)
        else:
            yield File(path, folder / entry["name"], entry["perm"] & 0o777)


def _libc_files() -> list[File]:
    """Return the files of the C library from the packages of the machine's Debian release."""
    files = {x: File(x, link=f"usr/{x}") for x in _MERGED}
    with tempfile.TemporaryDirectory() as folder:
        debian.download(_packages(), Path(folder))
        for package in sorted(Path(folder).glob("*.deb")):
            result = subprocess.run(
                ["dpkg-deb", "--fsys-tarfile", package], check=True, capture_output=True
            )
            with tarfile.open(fileobj=io.BytesIO(result.stdout)) as tar:
                files |= {x.path: x for x in _contents(tar)}
    return list(files.values())


def _packages() -> list[str]:
    """Return the packages of the C library, without virtual ones, which have angle brackets."""
    no = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
    result = subprocess.run(
        ["apt-cache", "depends", "--recurse", *(f"--no-{x}" for x in no), _LIBC],
        check=True,
        capture_output=True,
        text=True,
    )
    return [x for x in result.stdout.splitlines() if not x.startswith((" ", "<"))]


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
