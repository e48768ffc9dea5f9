"""OCI archives: what is in them, and that the same input is the same image."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest

from sandbox.build.oci import File, digest, write_archive

GOLDEN = "sha256:50281260acd96b554cdcd22dab7534cbd2abffc9efa3160712f659c429ea56da"
"""Of FILES on amd64. Another digest means that every image has to be imported anew."""


@pytest.fixture(autouse=True)
def amd64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")


def files(folder: Path) -> list[File]:
    binary = folder / "binary"
    binary.write_bytes(b"\x7fELF")
    return [
        File("bin", mode=0o755),
        File("bin/tool", binary, 0o755),
        File("bin/alias", link="tool"),
        File("etc/note", b"text\n"),
    ]


def test_the_digest_is_the_known_one_whatever_the_files_times(tmp_path: Path) -> None:
    image = tmp_path / "image.tar"
    contents = files(tmp_path)
    os.utime(tmp_path / "binary", (1, 1))
    assert write_archive(image, "localhost/tool:1", contents, {"Entrypoint": ["/bin/tool"]}) == (
        GOLDEN
    )
    assert digest(image) == GOLDEN


def test_every_blob_is_named_by_its_digest_and_referred_to(tmp_path: Path) -> None:
    image = tmp_path / "image.tar"
    write_archive(image, "localhost/tool:1", files(tmp_path))
    with tarfile.open(image) as tar:
        blobs = {}
        for entry in tar:
            content = tar.extractfile(entry)
            assert content
            blobs[entry.name] = content.read()
    index = json.loads(blobs.pop("index.json"))
    assert json.loads(blobs.pop("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    for name, blob in blobs.items():
        assert name == f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}"
    (manifest_of,) = index["manifests"]
    assert manifest_of["annotations"]["io.containerd.image.name"] == "localhost/tool:1"
    manifest = json.loads(blobs[f"blobs/{manifest_of['digest'].replace(':', '/')}"])
    for descriptor in [manifest["config"], *manifest["layers"]]:
        assert len(blobs[f"blobs/{descriptor['digest'].replace(':', '/')}"]) == descriptor["size"]


def test_a_layer_has_modes_links_and_attributes_and_belongs_to_root(tmp_path: Path) -> None:
    image = tmp_path / "image.tar"
    capability = File("bin/bind", b"", 0o755, xattrs={"security.capability": "\1\0\0\2"})
    write_archive(image, "localhost/tool:1", [*files(tmp_path), capability])
    with tarfile.open(image) as tar:
        last = tar.extractfile(tar.getmembers()[-1])
        with tarfile.open(fileobj=last) as layer:
            entries = {x.name: x for x in layer}
    assert entries["bin/tool"].mode == 0o755
    assert entries["bin/alias"].linkname == "tool"
    assert entries["tmp"].mode == 0o1777
    headers = {x.name: x.pax_headers for x in entries.values() if x.pax_headers}
    assert headers == {"bin/bind": {"SCHILY.xattr.security.capability": "\1\0\0\2"}}
    assert {(x.uid, x.gid, x.mtime) for x in entries.values()} == {(0, 0, 0)}
