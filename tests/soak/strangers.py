"""What clients push that is no plain image, and that the registry accepts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.soak.client import (
    DOCKER,
    INDEX,
    LAYER,
    MANIFEST,
    Image,
    describe,
    digest_of,
    image,
)

Form = Callable[[dict[str, Any]], bytes]
"""Makes the text of a manifest of the values of a plain one."""


def plain(repository: str, tag: str, config: bytes, layers: list[bytes], form: Form) -> Image:
    """Return an image whose manifest has an unusual form."""
    values = json.loads(image(repository, tag, config, layers).manifest)
    manifest = form(values)
    blobs = {digest_of(content): content for content in [config, *layers]}
    media_type = DOCKER if DOCKER.encode() in manifest else MANIFEST
    return Image(repository, tag, blobs, manifest, media_type=media_type)


def dump(values: dict[str, Any], **more: object) -> bytes:
    return json.dumps({**values, **more}).encode()


def with_urls(values: dict[str, Any]) -> bytes:
    """A base of Windows, pushed with `allow-nondistributable-artifacts`."""
    values["layers"][0]["urls"] = ["https://example.com/layer"]
    return dump(values)


def with_capitals(values: dict[str, Any]) -> bytes:
    """Go ignores the case of keys, and the last one counts."""
    return dump({**values, "layers": []}, Layers=values["layers"])


def with_manifests(values: dict[str, Any]) -> bytes:
    return dump(values, mediaType=DOCKER, manifests=[])


def with_nulls(values: dict[str, Any]) -> bytes:
    values["layers"][0] |= {"urls": None, "annotations": None}
    return dump(values, annotations=None, subject=None, manifests=None)


def escaped(values: dict[str, Any]) -> bytes:
    return dump(values).replace(b"sha256:", b"\\u0073ha256\\u003a")


def in_latin_1(values: dict[str, Any]) -> bytes:
    return dump(values, annotations={"author": "?"}).replace(b"?", b"Andr\xe9")


def with_a_long_number(values: dict[str, Any]) -> bytes:
    return dump(values)[:-1] + b', "number": ' + b"9" * 5000 + b"}"


def nested(values: dict[str, Any]) -> bytes:
    depth = 9000
    return dump(values)[:-1] + b', "deep": ' + b"[" * depth + b"]" * depth + b"}"


def with_an_odd_subject(values: dict[str, Any]) -> bytes:
    return dump(values, subject="x")


def with_an_odd_list(values: dict[str, Any]) -> bytes:
    return dump(values, blobs="x")


STRANGE = (
    with_urls,
    with_capitals,
    with_manifests,
    with_nulls,
    escaped,
    in_latin_1,
    with_a_long_number,
)
"""Forms that the maintenance understands."""

ODD = (nested, with_an_odd_subject, with_an_odd_list)
"""Forms that it does not understand, so that it keeps everything in their repositories."""


def cache(repository: str, tag: str, config: bytes, layers: list[bytes]) -> Image:
    """Return a cache of BuildKit: an index whose entries are layers."""
    entries = [describe(LAYER, layer) for layer in layers]
    entries.append(describe("application/vnd.buildkit.cacheconfig.v0", config))
    manifest = dump({"schemaVersion": 2, "mediaType": INDEX}, manifests=entries)
    blobs = {digest_of(content): content for content in [config, *layers]}
    return Image(repository, tag, blobs, manifest, media_type=INDEX)


def signature(signed: Image, repository: str) -> Image:
    """Return what cosign pushes: an image that is tagged after another one's digest."""
    tag = f"sha256-{signed.digest[7:]}.sig"
    return image(repository, tag, b'{"signs": "%s"}' % signed.digest.encode(), [b"signature"])


def referrer(subject: Image) -> Image:
    """Return what refers to an image as its subject, and has no tag."""
    config = b'{"about": "%s"}' % subject.digest.encode()
    values = json.loads(image(subject.repository, "", config, [b"bill of materials"]).manifest)
    values["subject"] = describe(subject.media_type, subject.manifest)
    manifest = dump(values)
    blobs = {digest_of(x): x for x in (config, b"bill of materials")}
    return Image(subject.repository, "", blobs, manifest)


def signed(plain_one: Image) -> Image:
    """Return an image with a signature and a referrer."""
    describing = (signature(plain_one, plain_one.repository), referrer(plain_one))
    return replace(plain_one, described_by=describing)


def named_after_itself(repository: str, config: bytes, layers: list[bytes]) -> Image:
    """Return an image as imgpkg tags it, so that no collection takes it for untagged."""
    untagged = image(repository, "", config, layers)
    return replace(untagged, tag=f"sha256-{untagged.digest[7:]}.imgpkg")
