"""What a walk finds in a bucket."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from scripts.maintenance.keys import ROOT, SWEPT, blob_key, link_key, swept_key, tag_key
from scripts.maintenance.references import FOLDER, MANIFEST_BYTES, References, read_manifest
from scripts.maintenance.repository import Tag
from scripts.maintenance.walk import SETTLED_SECONDS, Walk
from tests.unit.scripts.fake_bucket import OF_BOTH, A, B, C, FakeBucket, Image, digest_of

FIRST, SECOND = f"sha256:{'0' * 64}", f"sha256:{'1' * 64}"


def look(bucket: FakeBucket, **options: Any) -> Walk:
    return Walk(bucket, References(bucket), **options)


def test_a_walk_finds_blobs_layers_manifests_and_tags() -> None:
    bucket = FakeBucket()
    bucket.push("team/app", A, "1.2")
    walk = look(bucket)
    assert walk.blobs == {digest_of(x): len(x) for x in [*A.layers, A.manifest]}
    repository = walk.repositories["team/app"]
    assert repository.layers == {digest_of(layer) for layer in A.layers}
    assert repository.revisions == {A.digest: bucket.clock}
    assert repository.tags == {"1.2": Tag(A.digest, bucket.clock, bucket.clock)}
    assert walk.manifests[A.digest] == read_manifest(A.manifest)


def test_a_tag_names_what_its_own_link_says_however_often_it_was_pushed() -> None:
    bucket = FakeBucket()
    for pushed in (A, B, A):
        bucket.push("r", pushed, "a")
    # As if the last push had not been the only one to write its history.
    del bucket.stored[tag_key("r", "a", A.digest)]
    assert look(bucket).repositories["r"].tags["a"].digest == A.digest


def test_the_links_of_tags_are_told_by_their_md5_and_are_not_read() -> None:
    bucket = FakeBucket()
    for pushed, tag in ((A, "a"), (A, "b"), (B, "c")):
        bucket.push("r", pushed, tag)
    look(bucket)
    read = [key for key in bucket.read if not key.startswith(FOLDER)]
    assert sorted(read) == sorted(blob_key(x.digest) for x in (A, B))


def test_a_tag_is_known_whose_manifest_is_gone() -> None:
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    del bucket.stored[link_key("r", "_manifests/revisions", A.digest)]
    assert look(bucket).repositories["r"].tags["a"].digest == A.digest


def test_a_push_that_has_begun_counts_as_one() -> None:
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    bucket.clock += 50
    bucket.put(tag_key("r", "a", B.digest), B.digest.encode())
    assert look(bucket).repositories["r"].tags["a"] == Tag(A.digest, bucket.clock, bucket.clock)


def test_a_deleted_tag_has_its_last_image() -> None:
    bucket = FakeBucket()
    bucket.put(tag_key("r", "a", SECOND), b"")
    bucket.clock -= 10
    bucket.put(tag_key("r", "a", FIRST), b"")
    assert look(bucket).repositories["r"].dead_tags["a"].digest == SECOND


def test_copies_of_deleted_blobs_are_told_from_blobs() -> None:
    bucket = FakeBucket()
    bucket.put(swept_key(FIRST), b"123")
    walk = look(bucket)
    assert walk.swept[FIRST].size == 3
    assert not walk.blobs
    assert swept_key(FIRST) == f"{SWEPT}sha256/{'0' * 64}"


def test_a_second_look_sees_what_was_pushed_since() -> None:
    bucket = FakeBucket()
    walk = look(bucket)
    bucket.push("r", OF_BOTH, "a")
    walk.look_again()
    assert walk.manifests.keys() == {OF_BOTH.digest, A.digest, C.digest}


def test_the_time_is_that_at_which_the_walk_began() -> None:
    bucket = FakeBucket()
    bucket.push("r", OF_BOTH, "a")
    references = References(bucket)
    began = bucket.clock

    def tick(*_: str) -> None:
        bucket.clock += 1

    bucket.before = tick
    assert Walk(bucket, references).now == began + 1


def test_the_registrys_clock_tells_what_is_young() -> None:
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    bucket.clock += 100
    bucket.push("r", C, "c")
    walk = look(bucket, young_seconds=100)
    shared, young = digest_of(C.layers[1]), {digest_of(C.layers[0]), C.digest}
    assert walk.recent == dict.fromkeys({shared, *young}, bucket.clock), "a link was written again"


def test_a_tag_that_names_no_digest_is_odd() -> None:
    bucket = FakeBucket()
    bucket.put(tag_key("r", "a"), b"latest")
    walk = look(bucket)
    assert walk.repositories["r"].odd == ["r:a: it names no digest"]
    assert not walk.repositories["r"].tags


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"a"'])
def test_an_odd_manifest_is_named_once_with_its_repository_and_tag(content: bytes) -> None:
    bucket = FakeBucket()
    odd = Image(content)
    for name, tag in (("one", "a"), ("one", "b"), ("two", "")):
        bucket.push(name, odd, tag)
    bucket.push("three", A, "a")
    walk = look(bucket)
    walk.look_again()
    walk.read_manifests([odd.digest])
    (one,), (two,) = walk.repositories["one"].odd, walk.repositories["two"].odd
    assert re.match("one:[ab]: its JSON is ", one)
    assert two.startswith(f"two@{odd.digest}: its JSON is ")
    assert not walk.repositories["three"].odd


def test_a_manifest_that_is_read_later_is_named_if_it_is_odd() -> None:
    bucket = FakeBucket()
    walk = look(bucket)
    bucket.push("r", Image(b"["), "a")
    walk.look_again()
    assert [line[:5] for line in walk.repositories["r"].odd] == ["r:a: "]


def test_what_is_larger_than_a_manifest_is_not_read() -> None:
    bucket = FakeBucket()
    layer = b" " * (MANIFEST_BYTES + 1)
    bucket.push("r", Image(layer), "a")
    walk = look(bucket)
    assert walk.repositories["r"].odd == ["r:a: it is larger than any manifest"]
    assert blob_key(digest_of(layer)) not in bucket.read


def test_a_manifest_is_read_once_by_all_runs() -> None:
    bucket = FakeBucket()
    bucket.push("r", OF_BOTH, "a")
    first = Walk(bucket, references := References(bucket))
    references.save(first.blobs)
    bucket.push("r", B, "b")
    bucket.read.clear()
    second = look(bucket)
    assert [key for key in bucket.read if "blobs" in key] == [blob_key(B.digest)]
    assert second.manifests == {**first.manifests, B.digest: second.manifests[B.digest]}


def test_what_is_remembered_of_a_manifest_does_not_hide_that_it_is_gone() -> None:
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    walk = Walk(bucket, references := References(bucket))
    references.save(walk.blobs)
    bucket.delete(blob_key(A.digest))
    assert A.digest not in look(bucket).manifests


def test_a_manifest_with_other_content_is_damaged_and_not_remembered() -> None:
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    bucket.put(blob_key(A.digest), B.manifest)
    walk = Walk(bucket, references := References(bucket))
    assert walk.damaged == {A.digest}
    references.save(walk.blobs)
    assert References(bucket).get(A.digest) is None


@pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
def test_a_manifest_may_have_a_digest_of_another_algorithm(algorithm: str) -> None:
    bucket = FakeBucket()
    digest = f"{algorithm}:{hashlib.new(algorithm, A.manifest).hexdigest()}"
    bucket.put(blob_key(digest), A.manifest)
    bucket.put(link_key("r", "_manifests/revisions", digest), digest.encode())
    walk = look(bucket)
    assert walk.manifests[digest] == read_manifest(A.manifest)
    assert not walk.damaged


def test_what_a_manifest_mentions_counts_only_if_it_is_there() -> None:
    """Else one user's texts, full of digests of nothing, would fill the memory of each run."""
    bucket = FakeBucket()
    bucket.push("other", B, "b")
    bucket.put(swept_key(SECOND), b"copy")
    text = f"built from {B.digest}, {FIRST}, {SECOND}"
    mentioning = Image(json.dumps({"annotations": {"note": text}}).encode())
    bucket.push("r", mentioning, "a")
    assert look(bucket).manifests[mentioning.digest].others == (SECOND, B.digest)


def test_what_is_older_than_the_list_that_does_not_show_it_is_noted() -> None:
    bucket = FakeBucket()
    bucket.put("a", b"")
    bucket.clock += SETTLED_SECONDS + 1
    walk = look(bucket)
    bucket.put("b", b"")
    assert [walk.find(key) and key for key in "abc"] == ["a", "b", None]
    assert walk.unlisted == {"a"}


def test_a_large_blob_that_was_being_uploaded_when_the_list_began_is_no_lie() -> None:
    """It counts as written when its upload in parts began."""
    bucket = FakeBucket()
    bucket.put("a", b"")
    bucket.clock += SETTLED_SECONDS
    walk = look(bucket)
    assert walk.find("a")
    assert not walk.unlisted


def test_a_link_of_another_algorithm_is_an_alias_of_the_blobs_own() -> None:
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    alias = f"sha512:{'0' * 128}"
    bucket.put(link_key("r", "_layers", alias), digest_of(A.layers[0]).encode())
    walk = look(bucket)
    assert walk.aliases == {alias: digest_of(A.layers[0])}


def test_uploads_are_known_with_their_keys_and_their_beginning() -> None:
    bucket = FakeBucket()
    folder = f"{ROOT}repositories/r/_uploads/one"
    for name in ("data", "hashstates/sha256/0", "hashstates/sha256/5", "startedat"):
        bucket.put(f"{folder}/{name}", b"")
        bucket.clock += 1
    repository = look(bucket).repositories["r"]
    keys, latest = repository.uploads["one"]
    assert len(keys) == 4
    assert latest == repository.started["one"] == bucket.clock - 1


def test_keys_of_others_in_the_bucket_are_left_alone() -> None:
    bucket = FakeBucket()
    blobs, value = f"{ROOT}blobs/", "0" * 64
    for key in (
        *(f"{blobs}README", f"{ROOT}repositories/README", "docker/x", "other/y"),
        *(f"{blobs}sha256/00/{value}", f"{blobs}sha256/{value}/data", f"{blobs}sha256/00/{value}/"),
        *(f"{blobs}sha256/01/{value}/data", f"{blobs}sha256/00/{value}/data2", f"{SWEPT}sha256/x"),
    ):
        bucket.put(key, b"")
    walk = look(bucket)
    assert not walk.blobs
    assert not walk.swept
    assert not walk.repositories
