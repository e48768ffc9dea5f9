"""What a walk finds in a bucket."""

from __future__ import annotations

import json

import pytest

from scripts.maintenance.manifests import parse_manifest
from scripts.maintenance.walk import ROOT, SWEPT, Walk, blob_key, link_key, swept_key, tag_key
from tests.unit.scripts.fake_bucket import OF_BOTH, A, B, C, FakeBucket, digest_of, image

FIRST, SECOND = f"sha256:{'0' * 64}", f"sha256:{'1' * 64}"


def test_a_walk_finds_blobs_layers_manifests_and_tags() -> None:
    bucket = FakeBucket()
    bucket.push("team/app", A, "1.2")
    walk = Walk(bucket)
    assert walk.blobs == {digest_of(x): len(x) for x in [*A.layers, A.manifest]}
    repository = walk.repositories["team/app"]
    assert repository.layers == {digest_of(layer) for layer in A.layers}
    assert repository.revisions == {A.digest: bucket.clock}
    assert repository.tags == {"1.2": (A.digest, bucket.clock, bucket.clock)}
    assert walk.manifests[A.digest].layers == tuple(digest_of(layer) for layer in A.layers)


def test_a_tag_names_what_its_own_link_says_however_often_it_was_pushed() -> None:
    bucket = FakeBucket()
    for pushed in (A, B, A):
        bucket.push("r", pushed, "a")
    # As if the last push had not been the only one to write its history.
    del bucket.stored[tag_key("r", "a", A.digest)]
    assert Walk(bucket).repositories["r"].tags["a"].digest == A.digest


def test_the_links_of_tags_are_told_by_their_md5_and_are_not_read() -> None:
    bucket = FakeBucket()
    for pushed, tag in ((A, "a"), (A, "b"), (B, "c")):
        bucket.push("r", pushed, tag)
    Walk(bucket)
    assert sorted(bucket.read) == sorted(blob_key(x.digest) for x in (A, B))


def test_a_tag_is_known_whose_manifest_is_gone() -> None:
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    del bucket.stored[link_key("r", "_manifests/revisions", A.digest)]
    assert Walk(bucket).repositories["r"].tags["a"].digest == A.digest


def test_a_push_that_has_begun_counts_as_one() -> None:
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    bucket.clock += 50
    bucket.put(tag_key("r", "a", B.digest), B.digest.encode())
    assert Walk(bucket).repositories["r"].tags["a"] == (A.digest, bucket.clock, bucket.clock)


def test_a_deleted_tag_has_its_last_image() -> None:
    bucket = FakeBucket()
    bucket.put(tag_key("r", "a", SECOND), b"")
    bucket.clock -= 10
    bucket.put(tag_key("r", "a", FIRST), b"")
    assert Walk(bucket).repositories["r"].dead_tags["a"].digest == SECOND


def test_copies_of_deleted_blobs_are_told_from_blobs() -> None:
    bucket = FakeBucket()
    bucket.put(swept_key(FIRST), b"123")
    walk = Walk(bucket)
    assert walk.swept[FIRST].size == 3
    assert not walk.blobs
    assert swept_key(FIRST) == f"{SWEPT}sha256/{'0' * 64}"


def test_a_second_look_sees_what_was_pushed_since() -> None:
    bucket = FakeBucket()
    walk = Walk(bucket)
    bucket.push("r", OF_BOTH, "a")
    walk.look_again()
    assert walk.manifests.keys() == {OF_BOTH.digest, A.digest, C.digest}


def test_the_time_is_that_at_which_the_walk_began() -> None:
    bucket = FakeBucket()
    bucket.push("r", OF_BOTH, "a")
    began = bucket.clock

    def tick(*_: str) -> None:
        bucket.clock += 1

    bucket.before = tick
    assert Walk(bucket).now == began + 1


def test_a_tag_that_names_no_digest_is_not_understood() -> None:
    bucket = FakeBucket()
    bucket.put(tag_key("r", "a"), b"latest")
    walk = Walk(bucket)
    assert walk.unclear == [f"{tag_key('r', 'a')} names no digest"]
    assert not walk.repositories["r"].tags


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"a"', b"{}", b'{"schemaVersion": 1}'])
def test_a_manifest_that_is_none_is_not_understood(content: bytes) -> None:
    bucket = FakeBucket()
    digest = digest_of(content)
    bucket.put(blob_key(digest), content)
    bucket.put(link_key("r", "_manifests/revisions", digest), digest.encode())
    walk = Walk(bucket)
    assert [line.startswith(f"the manifest {digest}") for line in walk.unclear] == [True]


def test_a_manifest_with_other_content_is_damaged() -> None:
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    bucket.put(blob_key(A.digest), B.manifest)
    walk = Walk(bucket)
    assert walk.damaged == {A.digest}
    assert not walk.manifests, "what it says is worth nothing"


def test_an_index_refers_to_its_children_and_a_signature_to_its_subject() -> None:
    assert parse_manifest(OF_BOTH.manifest).children == (A.digest, C.digest)
    signature = parse_manifest(image(b"signature", subject=A.digest).manifest)
    assert signature.subject == A.digest
    assert A.digest not in signature.layers + signature.children + signature.optional


def test_a_layer_with_urls_may_be_somewhere_else() -> None:
    manifest = json.loads(A.manifest)
    manifest["layers"][0]["urls"] = ["https://example.com"]
    parsed = parse_manifest(json.dumps(manifest).encode())
    assert parsed.optional == (digest_of(A.layers[1]),)
    assert digest_of(A.layers[1]) not in parsed.layers


def test_an_old_manifest_refers_to_its_layers() -> None:
    content = {"schemaVersion": 1, "fsLayers": [{"blobSum": FIRST}, {"blobSum": SECOND}]}
    assert parse_manifest(json.dumps(content).encode()).layers == (FIRST, SECOND)


def test_every_digest_counts_in_a_manifest_of_an_unknown_kind() -> None:
    content = {"schemaVersion": 2, "parts": {"x": [FIRST, {"y": SECOND}]}, "note": "no digest"}
    assert parse_manifest(json.dumps(content).encode()).optional == (FIRST, SECOND)


def test_keys_of_others_in_the_bucket_are_left_alone() -> None:
    bucket = FakeBucket()
    for key in (f"{ROOT}blobs/README", f"{ROOT}repositories/README", "docker/x", "other/y"):
        bucket.put(key, b"")
    walk = Walk(bucket)
    assert not walk.blobs
    assert not walk.repositories
