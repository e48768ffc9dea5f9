"""OCI image archives written from plain files; the same files give the same digest anywhere."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

USER = "65532"
"""Whom the images run as: "nonroot", as in the distroless images."""

_ETC = {
    "etc/passwd": "root:x:0:0:root:/:/\nnonroot:x:65532:65532:nonroot:/:/\n",
    "etc/group": "root:x:0:\nnonroot:x:65532:\n",
    # Go and glibc look at the hosts file before DNS only when told to.
    "etc/nsswitch.conf": "hosts: files dns\n",
}

GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""What the kernel calls the machine, and what OCI does (Go's GOARCH)."""

_MEDIA = "application/vnd.oci.image"
"""https://github.com/opencontainers/image-spec/blob/v1.1.1/media-types.md."""


@dataclass(frozen=True)
class File:
    """A file, folder or symbolic link in an image.

    Attributes:
        path: Where it goes, without leading slash.
        content: Its bytes, or the file to take them from; None for a folder or link.
        mode: Its permission bits.
        link: Where a symbolic link points; empty for anything else.
        xattrs: Its extended attributes; their values as they are in a PAX header.
    """

    path: str
    content: bytes | Path | None = None
    mode: int = 0o644
    link: str = ""
    xattrs: Mapping[str, str] = field(default_factory=dict)


def digest(archive: Path) -> str:
    """Read the digest of the manifest in an archive: ``sha256:`` and 64 hex digits."""
    with tarfile.open(archive) as tar:
        index = tar.extractfile("index.json")
        assert index  # noqa: S101 (write_archive put it there as a file)
        return str(json.load(index)["manifests"][0]["digest"])


def write_archive(
    target: Path, ref: str, files: Sequence[File], config: dict[str, Any] | None = None
) -> str:
    """Write an image of one layer as an OCI archive: an OCI image layout in a tar file.

    Args:
        target: The archive.
        ref: The reference under which containerd and skopeo are to know it.
        files: What is in it, on top of ``/tmp`` and the users root and nonroot.
        config: Further keys of the image's ``config``, such as ``Entrypoint``.

    Returns:
        The digest of its manifest.
    """
    base = [File("etc", mode=0o755), File("tmp", mode=0o1777)]
    base += [File(path, text.encode()) for path, text in _ETC.items()]
    with tempfile.TemporaryFile(dir=target.parent) as layer:
        with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for file in [*base, *files]:
                _add(tar, file)
        layer_of = _descriptor(f"{_MEDIA}.layer.v1.tar", layer)
        image_config = _json(
            {
                "architecture": GO_ARCHITECTURES.get(platform.machine(), platform.machine()),
                "os": "linux",
                "config": {"User": USER, "Env": ["PATH=/bin:/usr/bin"], **(config or {})},
                "rootfs": {"type": "layers", "diff_ids": [layer_of["digest"]]},
            }
        )
        config_of = _descriptor(f"{_MEDIA}.config.v1+json", image_config)
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": f"{_MEDIA}.manifest.v1+json",
                "config": config_of,
                "layers": [layer_of],
            }
        )
        manifest_of = _descriptor(f"{_MEDIA}.manifest.v1+json", manifest)
        names = {
            # containerd reads the first, skopeo the second.
            "io.containerd.image.name": ref,
            "org.opencontainers.image.ref.name": ref,
        }
        index = {"schemaVersion": 2, "manifests": [{**manifest_of, "annotations": names}]}
        blobs: dict[str, BinaryIO] = {
            config_of["digest"]: image_config,
            manifest_of["digest"]: manifest,
            layer_of["digest"]: layer,
        }
        with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
            _add(tar, File("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'))
            _add(tar, File("index.json", _json(index).getvalue()))
            for name, blob in blobs.items():
                _add_stream(tar, tarfile.TarInfo(_blob_path(name)), blob)
    return str(manifest_of["digest"])


def _descriptor(media_type: str, blob: BinaryIO) -> dict[str, Any]:
    size = blob.seek(0, io.SEEK_END)
    blob.seek(0)
    digest_of = hashlib.file_digest(blob, "sha256").hexdigest()  # type: ignore[arg-type] # BinaryIO is what it reads
    return {"mediaType": media_type, "digest": f"sha256:{digest_of}", "size": size}


def _blob_path(name: str) -> str:
    return f"blobs/{name.replace(':', '/')}"


def _json(value: dict[str, Any]) -> io.BytesIO:
    return io.BytesIO(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def _add(tar: tarfile.TarFile, file: File) -> None:
    """Add a file with what :class:`File` says of it only: no owner, no time."""
    entry = tarfile.TarInfo(file.path)
    entry.mode = file.mode
    entry.pax_headers = {f"SCHILY.xattr.{name}": value for name, value in file.xattrs.items()}
    if isinstance(file.content, Path):
        with file.content.open("rb") as content:
            _add_stream(tar, entry, content)
    elif file.content is not None:
        _add_stream(tar, entry, io.BytesIO(file.content))
    else:
        entry.type = tarfile.SYMTYPE if file.link else tarfile.DIRTYPE
        entry.linkname = file.link
        tar.addfile(entry)


def _add_stream(tar: tarfile.TarFile, entry: tarfile.TarInfo, content: BinaryIO) -> None:
    entry.size = content.seek(0, io.SEEK_END)
    content.seek(0)
    tar.addfile(entry, content)
