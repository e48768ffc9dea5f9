"""What a copy of a bucket holds, whatever happens to it and to the bucket."""

from __future__ import annotations

import hashlib

import pytest

from scripts.maintenance import copy_images
from scripts.maintenance.keys import LAYERS, REVISIONS, blob_key, link_key, tag_key
from scripts.maintenance.state import State
from scripts.maintenance.walk import MOST_UNREADABLE
from scripts.shared.objects import StorageError
from tests.unit.scripts.copies import copy, require_whole, tags_of
from tests.unit.scripts.fake_bucket import (
    OF_BOTH,
    A,
    B,
    C,
    FakeBucket,
    Image,
    digest_of,
    image,
    index,
)


def test_all_that_is_linked_is_copied_byte_by_byte() -> None:
    source, target = FakeBucket(), FakeBucket()
    source.push("team/app", OF_BOTH, "1")
    source.push("team/app", B)
    source.push("other", image(b"config d", subject=A.digest), "sha256-abc")
    assert not copy(source, target).problems
    assert target.stored == source.stored


def test_what_is_no_image_stays_behind() -> None:
    source, target = FakeBucket(), FakeBucket()
    source.push("r", A, "1")
    images = dict(source.stored)
    source.put("maintenance/usage.json", b"{}")
    source.put("maintenance/swept/sha256/ab", b"old")
    source.put("!cache/docker/docker/registry/v2/blobs/sha256/ab/abab/data", b"cached")
    source.put("docker/registry/v2/repositories/r/_uploads/1/data", b"half of a layer")
    source.put(blob_key(digest_of(b"unlinked")), b"unlinked")
    assert not copy(source, target).problems
    assert target.stored == images


def test_a_layer_by_another_digest_is_linked_to_the_blob_that_holds_it() -> None:
    source, target = FakeBucket(), FakeBucket()
    source.push("r", A, "1")
    alias = "sha512:" + hashlib.sha512(A.layers[1]).hexdigest()
    source.put(link_key("r", LAYERS, alias), digest_of(A.layers[1]).encode())
    only = "sha512:" + hashlib.sha512(b"no other link").hexdigest()
    source.put(link_key("r", LAYERS, only), digest_of(b"no other link").encode())
    source.put(blob_key(digest_of(b"no other link")), b"no other link")
    assert not copy(source, target).problems
    assert target.stored == source.stored


def test_a_second_copy_writes_what_is_new_and_reads_nothing_else() -> None:
    source, target = FakeBucket(), FakeBucket()
    source.push("r", A, "1")
    copy(source, target)
    source.push("r", B, "1")
    source.read.clear()
    written: list[str] = []
    target.before = lambda method, key: written.append(key) if method == "PUT" else None
    assert not copy(source, target).problems
    assert written[-1] == tag_key("r", "1"), "the tag comes last"
    new = [*map(digest_of, B.layers), B.digest]
    assert {x for x in written if "blobs" in x} == set(map(blob_key, new))
    assert not {blob_key(digest_of(x)) for x in A.layers} & {*source.read}


def test_nothing_that_was_deleted_goes_from_the_copy() -> None:
    source, target = FakeBucket(), FakeBucket()
    source.push("r", A, "1")
    source.push("r", B, "2")
    copy(source, target)
    before = dict(target.stored)
    source.stored.clear()
    assert not copy(source, target).problems
    assert target.stored == before


@pytest.mark.parametrize("part", [1, 3, 7, 100])
def test_a_large_layer_is_copied_in_parts(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_images, "PART_BYTES", part)
    source, target = FakeBucket(), FakeBucket()
    source.push("r", A, "1")
    assert not copy(source, target).problems
    assert target.stored == source.stored


def test_no_layer_has_more_parts_than_a_server_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_images, "PART_BYTES", 2)
    monkeypatch.setattr(copy_images, "MOST_PARTS", 3)
    counts: list[int] = []

    class Counting(FakeBucket):
        def put_parts(self, key: str, parts: object) -> None:
            listed = list(parts)  # type: ignore[call-overload] # an iterable
            counts.append(len(listed))
            super().put_parts(key, listed)

    source, target = FakeBucket(), Counting()
    source.push("r", image(b"config", b"x" * 100), "1")
    assert not copy(source, target).problems
    assert max(counts) == 3


@pytest.mark.parametrize("part", [1, 2**20])
def test_a_damaged_layer_never_comes_into_the_copy(
    part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_images, "PART_BYTES", part)
    source, target = FakeBucket(), FakeBucket()
    source.push("r", A, "1")
    copy(source, target)
    source.push("r", B, "1")
    source.push("r", C, "2")
    damaged = digest_of(B.layers[1])
    source.stored[blob_key(damaged)] = b"LAYER 3"
    problems = copy(source, target).problems
    assert f"{damaged}: its content does not match its digest" in problems
    assert "r:1: not all of it is in the copy" in problems
    assert blob_key(damaged) not in target.stored
    assert tags_of(target) == {("r", "1"): A.digest, ("r", "2"): C.digest}
    require_whole(target, {x.digest: x for x in (A, C)})


def test_a_damaged_manifest_leaves_the_tag_of_the_copy_as_it_was() -> None:
    source, target = FakeBucket(), FakeBucket()
    source.push("r", A, "1")
    copy(source, target)
    source.push("r", B, "1")
    source.stored[blob_key(B.digest)] = A.manifest
    problems = copy(source, target).problems
    assert problems[0] == f"{B.digest}: its content does not match its digest"
    assert problems.count(problems[0]) == 1
    assert tags_of(target) == {("r", "1"): A.digest}


@pytest.mark.parametrize(
    "lost",
    [
        blob_key(A.digest),
        blob_key(digest_of(A.layers[1])),
        link_key("r", REVISIONS, A.digest),
        link_key("r", LAYERS, digest_of(A.layers[0])),
        link_key("r", REVISIONS, OF_BOTH.digest),
    ],
)
def test_an_image_that_has_lost_something_is_named_and_its_tag_stays_away(lost: str) -> None:
    source, target = FakeBucket(), FakeBucket()
    source.push("r", OF_BOTH, "1")
    source.push("r", B, "2")
    del source.stored[lost]
    problems = copy(source, target).problems
    assert "r:1: not all of it is in the copy" in problems
    assert any(x.startswith("lost: r:1: its ") for x in problems), "says what"
    assert tags_of(target) == {("r", "2"): B.digest}


def test_an_entry_of_an_index_may_be_a_layer() -> None:
    source, target = FakeBucket(), FakeBucket()
    source.push("r", Image(index(A).manifest, (A.manifest, *A.layers)), "1")
    assert not copy(source, target).problems
    assert target.stored == source.stored


def test_indexes_of_indexes_are_as_whole_as_what_is_at_their_end() -> None:
    source, target = FakeBucket(), FakeBucket()
    nested = A
    for _ in range(1100):
        nested = Image(index(nested).manifest, (), ())
        source.push("r", nested)
    source.push("r", nested, "deep")
    source.push("r", A)
    assert not copy(source, target).problems
    del source.stored[blob_key(digest_of(A.layers[0]))]
    source.push("r", Image(index(nested).manifest), "deeper")
    assert "r:deeper: not all of it is in the copy" not in copy(source, target).problems, (
        "the copy has the layer"
    )
    del target.stored[blob_key(digest_of(A.layers[0]))]
    assert "r:deeper: not all of it is in the copy" in copy(source, target).problems


def test_what_is_damaged_in_the_copy_is_found_and_written_anew() -> None:
    source, target, state = FakeBucket(), FakeBucket(), State()
    source.push("r", A, "1")
    copy(source, target)
    layer = digest_of(A.layers[1])
    target.stored[blob_key(layer)] = b"LAYER 1"
    problems = copy(source, target, state).problems
    assert f"the copy of {layer}: its content does not match its digest" in problems
    assert "r:1: not all of it is in the copy" in problems
    assert not copy(source, target, state).problems
    assert target.stored == source.stored


def test_a_blob_of_another_size_is_written_anew() -> None:
    source, target = FakeBucket(), FakeBucket()
    source.push("r", A, "1")
    copy(source, target)
    target.stored[blob_key(digest_of(A.layers[1]))] = b""
    assert not copy(source, target).problems
    assert target.stored == source.stored


def test_a_blob_of_another_size_that_cannot_be_written_anew_is_not_there() -> None:
    """Which of the two is right is not known."""
    source, target = FakeBucket(), FakeBucket()
    source.push("r", A, "1")
    layer = blob_key(digest_of(A.layers[1]))
    target.put(layer, A.layers[1])
    source.stored[layer] = b"other"
    assert copy(source, target).problems
    assert not tags_of(target)


def test_an_index_is_linked_after_what_it_is_made_of() -> None:
    source, target = FakeBucket(), FakeBucket()
    # So many that no chance puts it at the end.
    of_many = index(*(image(b"config", bytes([x])) for x in range(100)))
    source.push("r", of_many, "1")
    written: list[str] = []
    target.before = lambda method, key: written.append(key) if method == "PUT" else None
    copy(source, target)
    every = (of_many, *of_many.children)
    links = [written.index(link_key("r", REVISIONS, x.digest)) for x in every]
    assert links[0] == max(links)


def test_a_tag_that_the_target_does_not_keep_is_a_problem() -> None:
    class Forgetful(FakeBucket):
        def put(self, key: str, content: bytes) -> str:
            return (
                ""
                if key == tag_key("r", "1") and self.stored.get(key)
                else super().put(key, content)
            )

    source, target = FakeBucket(), Forgetful()
    source.push("r", A, "1")
    copy(source, target)
    source.push("r", B, "1")
    assert copy(source, target).problems == ["r:1: not all of it is in the copy"]


def test_one_object_that_cannot_be_read_holds_up_no_other() -> None:
    source, target = FakeBucket(), FakeBucket()
    source.push("r", A, "1")
    source.push("r", B, "2")
    unreadable = blob_key(digest_of(A.layers[1]))

    def fail(method: str, key: str) -> None:
        if (method, key) == ("GET", unreadable):
            raise StorageError("500")

    source.before = fail
    problems = copy(source, target).problems
    assert problems[0] == f"{digest_of(A.layers[1])}: 500"
    assert tags_of(target) == {("r", "2"): B.digest}


def test_a_storage_that_reads_nothing_ends_the_run() -> None:
    source, target = FakeBucket(), FakeBucket()
    source.push("r", image(*(bytes([x]) for x in range(MOST_UNREADABLE + 3))), "1")

    def fail(method: str, key: str) -> None:
        if method == "PUT" and "blobs" in key:
            raise StorageError("500")

    target.before = fail
    with pytest.raises(StorageError):
        copy(source, target)
