"""What Trivy scans and finds: images, and a database that is made up, as a registry serves it.

https://github.com/aquasecurity/trivy-db, https://github.com/etcd-io/bbolt
"""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.soak.client import MANIFEST, Image, describe, digest_of, image

CRITICAL, WITHOUT_FIX, OF_A_JAR, FIXED = (f"CVE-2026-{number}" for number in range(9001, 9005))
"""The vulnerabilities that the database knows; packages of :func:`vulnerable` have the first three.
"""

_PAGE = 4096
_LEAF, _META, _FREELIST = 2, 4, 16


def bolt(buckets: Mapping[str, Any]) -> bytes:
    """Return a file of bbolt with nested buckets, each in a page of its own.

    https://github.com/etcd-io/bbolt/blob/v1.5.0/internal/common/page.go
    """
    pages: list[bytes] = []

    def write(bucket: Mapping[str, Any]) -> int:
        """Append a bucket's pages after those of the buckets in it, and return its first one."""
        items: list[tuple[int, bytes, bytes]] = []
        for key, value in sorted(bucket.items()):
            inner = isinstance(value, dict) and not value.get("document")
            content = struct.pack("<QQ", write(value), 0) if inner else _json(value["document"])
            items.append((int(inner), key.encode(), content))
        elements = data = b""
        for number, (flag, name, content) in enumerate(items):
            offset = 16 * (len(items) - number) + len(data)
            elements += struct.pack("<IIII", flag, offset, len(name), len(content))
            data += name + content
        more = (16 + len(elements + data) - 1) // _PAGE
        first = 3 + sum(len(page) for page in pages) // _PAGE
        pages.append(_page(first, _LEAF, len(items), more, elements + data))
        return first

    root = write(buckets)
    end = 3 + sum(len(page) for page in pages) // _PAGE
    metas = []
    for number in (0, 1):
        fields = (0xED0CDAED, 2, _PAGE, 0, root, 0, 2, end, number)
        meta = struct.pack("<IIIIQQQQQ", *fields)
        metas.append(_page(number, _META, 0, 0, meta + struct.pack("<Q", _fnv(meta))))
    return b"".join([*metas, _page(2, _FREELIST, 0, 0, b""), *pages])


def _page(number: int, kind: int, count: int, more: int, content: bytes) -> bytes:
    page = struct.pack("<QHHI", number, kind, count, more) + content
    return page.ljust((more + 1) * _PAGE, b"\0")


def _fnv(data: bytes) -> int:
    """Return the FNV-1a hash of 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _documents(values: Mapping[str, object]) -> dict[str, Any]:
    return {name: {"document": value} for name, value in values.items()}


def database(repository: str, tag: str, made: str = "2026-12-01T00:00:00.123456789Z") -> Image:
    """Return the database as a registry serves it."""
    of_alpine = {
        CRITICAL: {"FixedVersion": "1.36.1-r99"},
        WITHOUT_FIX: {"FixedVersion": ""},
        FIXED: {"FixedVersion": "1.0.0-r0"},
    }
    severities = {CRITICAL: "CRITICAL", WITHOUT_FIX: "HIGH", OF_A_JAR: "MEDIUM", FIXED: "CRITICAL"}
    of_maven = {"PatchedVersions": ["2.0"], "VulnerableVersions": ["<2.0"]}
    maven = "maven::GitHub Security Advisory Maven"
    content = bolt(
        {
            "alpine 3.18": {"busybox": _documents(of_alpine)},
            maven: {"org.example:log": _documents({OF_A_JAR: of_maven})},
            "data-source": _documents(
                {
                    "alpine 3.18": {"ID": "alpine", "Name": "Alpine Secdb"},
                    maven: {"ID": "ghsa", "Name": "GitHub Security Advisory Maven"},
                }
            ),
            "vulnerability": _documents(
                {x: {"Title": "made up", "Severity": y} for x, y in severities.items()}
            ),
        }
    )
    never = "2999-01-01T00:00:00Z"
    metadata = {"Version": 2, "NextUpdate": never, "UpdatedAt": made, "DownloadedAt": made}
    packed = _tar({"trivy.db": content, "metadata.json": _json(metadata)}, "w:gz")
    title = {"org.opencontainers.image.title": "db.tar.gz"}
    kind = "application/vnd.aquasec.trivy"
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": describe(f"{kind}.config.v1+json", b"{}"),
        "layers": [{**describe(f"{kind}.db.layer.v1.tar+gzip", packed), "annotations": title}],
    }
    return Image(repository, tag, {digest_of(x): x for x in (b"{}", packed)}, _json(manifest))


def vulnerable(repository: str, tag: str, more: str = "") -> Image:
    """Return an image with an old package of Alpine, and a library of Java's.

    Args:
        repository: Where it is pushed to.
        tag: Its tag; empty for none.
        more: What no other image has.
    """
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w") as archive:
        properties = "groupId=org.example\nartifactId=log\nversion=1.0\n"
        # A ZipInfo is of 1980, where a name would be of now.
        entry = zipfile.ZipInfo("META-INF/maven/org.example/log/pom.properties")
        archive.writestr(entry, properties)
    package = "P:busybox\nV:1.36.1-r2\nA:x86_64\no:busybox\n\n"
    return of_alpine(
        repository,
        tag,
        {
            "lib/apk/db/installed": package.encode(),
            "app/log.jar": jar.getvalue(),
            "app/more": more.encode(),
        },
    )


def of_alpine(repository: str, tag: str, files: Mapping[str, bytes]) -> Image:
    """Return an image of Alpine's with some files."""
    layer = _tar({"etc/alpine-release": b"3.18.4\n", **files}, "w")
    rootfs = {"type": "layers", "diff_ids": [digest_of(layer)]}
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}
    return image(repository, tag, _json(config), [layer])


def _tar(files: Mapping[str, bytes], mode: Any) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def write_layout(image: Image, folder: Path) -> Path:
    """Write an image as a folder that `crane push` takes, and return it.

    https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
    """
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for digest, content in {**image.blobs, image.digest: image.manifest}.items():
        (blobs / digest.partition(":")[2]).write_bytes(content)
    manifests = [describe(image.media_type, image.manifest)]
    (folder / "index.json").write_bytes(_json({"schemaVersion": 2, "manifests": manifests}))
    (folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    return folder
