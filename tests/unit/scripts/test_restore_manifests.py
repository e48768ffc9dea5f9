"""Whatever was pushed comes back, or is refused with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from scripts.client.bring_back import RestoreError
from scripts.maintenance.keys import LAYERS, REVISIONS, blob_key, link_key, swept_key
from scripts.maintenance.references import MANIFEST_BYTES
from tests.unit.scripts.fake_bucket import MANIFEST, A, B, FakeBucket, Image, digest_of, image
from tests.unit.scripts.restoring import look, push, restored, sweep

Refers = Callable[[Image], dict[str, Any]]
"""Returns the fields of a manifest that refers to another image's."""

LAYER = "application/vnd.oci.image.layer.v1.tar"
URLS = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"


def index_of(entry: dict[str, str]) -> dict[str, Any]:
    """Return the fields that make an index of an image."""
    return {"config": None, "layers": None, "manifests": [entry]}


def stored(bucket: FakeBucket, content: bytes) -> str:
    """Push a manifest with any content, and return its digest."""
    bucket.push("r", Image(content), "odd")
    look(bucket)
    return digest_of(content)


@pytest.mark.parametrize("there", [True, False])
def test_a_layer_with_urls_comes_back_if_it_is_there_and_is_not_needed(there: bool) -> None:
    # Clients that push one into the registry pull it from there.
    bucket = FakeBucket()
    base = b"windows"
    descriptor = {"mediaType": URLS, "digest": digest_of(base), "urls": ["https://example.com"]}
    document = {**json.loads(B.manifest), "layers": [descriptor]}
    pushed = Image(json.dumps(document).encode(), (B.layers[0], *([base] if there else [])))
    bucket.push("r", pushed, "a")
    look(bucket)
    bucket.delete_manifest("r", pushed.digest)
    if there:
        sweep(bucket, digest_of(base))
    restored(bucket, "a")
    assert bucket.pulls("r", pushed, "a")
    assert (link_key("r", LAYERS, digest_of(base)) in bucket.stored) == there


@pytest.mark.parametrize("kind", ["application/vnd.docker.image.rootfs.diff.tar.gzip", None])
def test_an_index_of_layers_comes_back(kind: str | None) -> None:
    # BuildKit's caches are such; without a media type, nothing says that they are none of images.
    bucket = FakeBucket()
    layers = (b"layer 1", b"large" * MANIFEST_BYTES)
    entries = [{"digest": digest_of(x), **({"mediaType": kind} if kind else {})} for x in layers]
    pushed = Image(json.dumps({"schemaVersion": 2, "manifests": entries}).encode(), layers)
    bucket.push("r", pushed, "cache")
    look(bucket)
    bucket.delete_manifest("r", pushed.digest)
    sweep(bucket, *map(digest_of, layers))
    restored(bucket, "cache")
    assert bucket.pulls("r", pushed, "cache")


@pytest.mark.parametrize(
    "document",
    [
        b"[" * 9999 + b'"NAMED"' + b"]" * 9999,
        b'{"layers": 7, "annotations": {"a": "NAMED"}}',
        b'{"subject": "x", "layers": null, "manifests": null, "annotations": {"a": "NAMED"}}',
        b'{"annotations": {"M\xfcller": "NAMED"}, "layers": [{"digest": "sha256:0"}]}',
        b'["NAMED"]',
        b"\x00NAMED",
    ],
)
def test_of_a_manifest_that_is_not_understood_all_comes_back_that_it_names(document: bytes) -> None:
    bucket = FakeBucket()
    push(bucket, A, 1, "known")
    named = " ".join([A.digest, digest_of(b"elsewhere"), digest_of(b"plain")])
    bucket.push("r", image(b"plain"), "plain")
    digest = stored(bucket, document.replace(b"NAMED", named.encode()))
    for deleted in (digest, A.digest):
        bucket.delete_manifest("r", deleted)
    sweep(bucket, A.digest, *map(digest_of, (*A.layers, b"plain")))
    (line,) = restored(bucket, "odd")
    assert line.startswith(f"r:odd@{digest} is back, as far as it was there: ")
    assert bucket.pulls("r", A)
    assert link_key("r", LAYERS, digest_of(b"plain")) in bucket.stored
    assert link_key("r", REVISIONS, digest_of(b"plain")) not in bucket.stored


def test_what_a_manifest_only_mentions_can_be_pulled_from_where_it_was_only() -> None:
    # Such as its base image: who may pull one repository may not pull all that somebody names.
    bucket = FakeBucket()
    bucket.push("secret", A, "a")
    document = {**json.loads(B.manifest), "annotations": {"base": A.digest}}
    mentions = Image(json.dumps(document).encode(), B.layers)
    bucket.push("r", mentions, "b")
    look(bucket)
    bucket.delete_manifest("r", mentions.digest)
    bucket.delete_manifest("secret", A.digest)
    bucket.put(swept_key(A.digest), bucket.stored.pop(blob_key(A.digest)))
    restored(bucket, "b")
    assert bucket.pulls("r", mentions, "b")
    assert link_key("r", REVISIONS, A.digest) not in bucket.stored
    assert blob_key(A.digest) in bucket.stored, "its content stays as long as it is mentioned"


@pytest.mark.parametrize(
    "refers",
    [
        lambda secret: index_of({"digest": digest_of(secret.layers[1]), "mediaType": LAYER}),
        lambda secret: index_of({"digest": secret.digest, "mediaType": MANIFEST}),
        lambda secret: {"layers": [], "Layers": [{"digest": digest_of(secret.layers[1])}]},
    ],
)
def test_nothing_is_linked_that_was_never_in_the_repository(refers: Refers) -> None:
    # Whoever may push there would read what somebody else has elsewhere, once it is restored.
    bucket = FakeBucket()
    bucket.push("secret", A, "a")
    digest = stored(bucket, json.dumps({**json.loads(B.manifest), **refers(A)}).encode())
    bucket.push("r", B)
    bucket.delete_manifest("r", digest)
    before = {*bucket.stored}
    with pytest.raises(RestoreError, match=r"nothing shows that sha256:.* was ever in r; "):
        restored(bucket, "odd")
    assert {*bucket.stored} == before


@pytest.mark.parametrize(
    "refers",
    [
        lambda secret: {"layers": [{"digest": digest_of(secret.layers[1]), "urls": ["https://a"]}]},
        lambda secret: {"layers": 7, "annotations": {"a": secret.digest}},
        lambda secret: {"layers": 7, "annotations": {"a": digest_of(secret.layers[1])}},
    ],
)
def test_an_image_comes_back_without_what_was_never_in_the_repository(refers: Refers) -> None:
    bucket = FakeBucket()
    bucket.push("secret", A, "a")
    digest = stored(bucket, json.dumps({**json.loads(B.manifest), **refers(A)}).encode())
    bucket.push("r", B)
    bucket.delete_manifest("r", digest)
    assert len(restored(bucket, "odd")) == 1
    assert link_key("r", LAYERS, digest_of(A.layers[1])) not in bucket.stored
    assert link_key("r", REVISIONS, A.digest) not in bucket.stored


def test_what_is_no_manifest_is_refused() -> None:
    bucket = FakeBucket()
    large = b"{}" * MANIFEST_BYTES
    bucket.put(blob_key(digest_of(large)), large)
    with pytest.raises(RestoreError, match="is larger than any manifest"):
        restored(bucket, digest_of(large))
    bucket.stored[blob_key(A.digest)] = b"{}"
    with pytest.raises(RestoreError, match=f"the manifest {A.digest} is damaged"):
        restored(bucket, A.digest)


def test_a_layer_with_a_digest_of_another_algorithm_comes_back_as_it_was() -> None:
    bucket = FakeBucket()
    alias, blob = f"sha512:{'0' * 128}", digest_of(A.layers[1])
    manifest = A.manifest.replace(blob.encode(), alias.encode())
    other = Image(manifest, A.layers)
    bucket.push("r", other, "a")
    link = link_key("r", LAYERS, alias)
    bucket.put(link, blob.encode())
    look(bucket, 1)
    bucket.delete_manifest("r", other.digest)
    restored(bucket, "a")
    assert bucket.pulls("r", other, "a")
    assert bucket.stored[link] == blob.encode()
    bucket.delete_manifest("r", other.digest)
    del bucket.stored[blob_key(blob)]
    with pytest.raises(RestoreError, match=f"its layer {blob} is not in the bucket"):
        restored(bucket, "a")
