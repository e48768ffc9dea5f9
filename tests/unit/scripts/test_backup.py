"""What the copy may be written to, and when it counts as good."""

from __future__ import annotations

import gc
import json
from weakref import WeakSet

import pytest

from scripts.maintenance import backup_record
from scripts.maintenance.backup import MARKER, back_up
from scripts.maintenance.backup_record import COPY_KEY, Record
from scripts.maintenance.keys import LAYERS, REVISIONS, blob_key, link_key, tag_key
from scripts.maintenance.walk import Walk
from scripts.shared.objects import StorageError
from tests.unit.scripts.fake_bucket import A, B, FakeBucket, digest_of

DAY = 86400.0


@pytest.fixture
def source() -> FakeBucket:
    bucket = FakeBucket()
    bucket.push("r", A, "1")
    return bucket


@pytest.fixture
def target() -> FakeBucket:
    bucket = FakeBucket()
    bucket.place = "https://elsewhere.example.com/copy"
    return bucket


def record(bucket: FakeBucket, key: str) -> Record:
    found = backup_record.load(bucket, key)
    assert found
    return found


def test_a_good_copy_is_known_in_both_buckets(source: FakeBucket, target: FakeBucket) -> None:
    began = source.clock

    def tick(method: str, key: str) -> None:
        source.clock += method == "PUT" and "blobs" in key

    target.before = tick
    assert not back_up(source, target, 2 * DAY)
    size = sum(map(len, [*A.layers, A.manifest]))
    known = Record(began, 1, 4, size, target.place, 2 * DAY)
    assert record(source, backup_record.KEY) == record(target, COPY_KEY) == known
    assert known.words(began + 5.2 * 3600) == (
        f"last good copy: 1970-01-12 13:46 UTC, 5 h ago, 1 tags, {size} B, in {target.place}"
    )
    assert "4 days ago" in known.words(began + 4 * DAY)


def test_a_copy_with_a_problem_does_not_count(source: FakeBucket, target: FakeBucket) -> None:
    back_up(source, target, DAY)
    before = record(source, backup_record.KEY)
    source.clock += DAY
    source.push("r", B, "2")
    del source.stored[blob_key(digest_of(B.layers[0]))]
    assert back_up(source, target, DAY)
    assert record(source, backup_record.KEY) == before == record(target, COPY_KEY)


def test_a_push_in_the_middle_of_a_list_is_no_problem(
    source: FakeBucket, target: FakeBucket
) -> None:
    late = link_key("r", LAYERS, digest_of(B.layers[0]))
    source.push("r", B, "2")
    missing = [True]

    def appear(method: str, _key: str) -> None:
        missing[0] = missing[0] and method != "PUT"

    target.before = appear
    source.hides = lambda key: missing[0] and key == late
    target.stored[MARKER] = json.dumps([source.place, "x"]).encode()
    assert not back_up(source, target, DAY)


def test_what_is_damaged_in_the_copy_is_given_again_in_the_same_run(
    source: FakeBucket, target: FakeBucket
) -> None:
    back_up(source, target, DAY)
    target.stored[blob_key(digest_of(A.layers[1]))] = b"LAYER 1"
    assert not back_up(source, target, DAY)
    assert target.stored[blob_key(digest_of(A.layers[1]))] == A.layers[1]


@pytest.mark.parametrize(("tags", "left"), [(1, 0), (20, 15), (20, 0)])
def test_a_bucket_that_has_lost_its_tags_has_no_good_copy_until_that_is_right(
    source: FakeBucket, target: FakeBucket, tags: int, left: int
) -> None:
    for number in range(1, tags):
        source.push("r", A, f"t{number}")
    back_up(source, target, DAY)
    before = dict(target.stored)
    names = ["1", *(f"t{number}" for number in range(1, tags))]
    for name in names[left:]:
        source.delete_tag("r", name)
    source.push("new", B)
    (problem,) = back_up(source, target, DAY)
    assert problem.startswith(f"{tags - left} of {tags} tags are gone since")
    assert target.stored.items() >= before.items(), "they are in the copy"
    assert blob_key(B.digest) in target.stored, "what there is was copied"
    assert COPY_KEY in problem
    target.delete(COPY_KEY)
    assert not back_up(source, target, DAY)


def test_what_tags_named_on_a_day_is_known_when_somebody_has_overwritten_all_of_them(
    source: FakeBucket, target: FakeBucket
) -> None:
    """Their number is as before, so the copy is good; and each has one link, of what is new."""
    source.push("team/app", A, "2")
    back_up(source, target, DAY)
    source.clock += DAY
    for repository, tag in (("r", "1"), ("team/app", "2")):
        source.push(repository, B, tag)
    assert not back_up(source, target, DAY)
    days = {
        key: json.loads(content)
        for key, content in target.stored.items()
        if key.startswith("backup/tags/")
    }
    assert days == {
        "backup/tags/1970-01-12.json": {"r": {"1": A.digest}, "team/app": {"2": A.digest}},
        "backup/tags/1970-01-13.json": {"r": {"1": B.digest}, "team/app": {"2": B.digest}},
    }
    for repository in ("r", "team/app"):
        assert link_key(repository, REVISIONS, A.digest) in target.stored, "it pulls by its digest"


def test_a_second_attempt_has_the_memory_of_the_first(
    source: FakeBucket, target: FakeBucket
) -> None:
    """With four lists instead of three a run of a million blobs would be killed, each day."""
    walks = WeakSet[Walk]()
    most = [0]

    def count(_method: str, _key: str) -> None:
        walks.update(x for x in gc.get_objects() if isinstance(x, Walk))
        most[0] = max(most[0], len(walks))

    del source.stored[blob_key(digest_of(A.layers[0]))]
    source.before = target.before = count
    assert back_up(source, target, DAY)
    assert most == [3]


@pytest.mark.parametrize(("tags", "left"), [(5, 1), (25, 20)])
def test_some_tags_may_go(source: FakeBucket, target: FakeBucket, tags: int, left: int) -> None:
    for number in range(1, tags):
        source.push("r", A, f"t{number}")
    back_up(source, target, DAY)
    for number in range(left, tags):
        source.delete_tag("r", f"t{number}")
    assert not back_up(source, target, DAY)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (tag_key("r", "1"), "holds what is no copy"),
        ("holidays.jpg", "holds what is no copy"),
        ("maintenance/collection.json", "a registry works on it"),
    ],
)
def test_a_folder_that_holds_something_else_is_left_alone(
    source: FakeBucket, target: FakeBucket, key: str, reason: str
) -> None:
    target.put(key, b"another's")
    before = dict(target.stored)
    with pytest.raises(StorageError, match=f"{reason}.*{key}"):
        back_up(source, target, DAY)
    assert target.stored == before


def test_a_registry_that_works_on_its_copy_keeps_its_tags(
    source: FakeBucket, target: FakeBucket
) -> None:
    back_up(source, target, DAY)
    target.push("r", B, "1")
    target.put("maintenance/collection.json", b"{}")
    before = dict(target.stored)
    with pytest.raises(StorageError, match="no copy any more"):
        back_up(source, target, DAY)
    assert target.stored == before


def test_the_copy_of_another_registry_is_left_alone_until_somebody_says_so(
    source: FakeBucket, target: FakeBucket
) -> None:
    other = FakeBucket()
    other.place = "https://s3.example.com/others"
    other.push("r", B, "1")
    back_up(other, target, DAY)
    before = dict(target.stored)
    with pytest.raises(StorageError, match=f"is a copy of {other.place}.*delete {MARKER}"):
        back_up(source, target, DAY)
    assert target.stored == before
    target.delete(MARKER)
    assert not back_up(source, target, DAY)


class SameBucket(FakeBucket):
    """A bucket by another name of its server."""

    def __init__(self, other: FakeBucket) -> None:
        super().__init__()
        self.stored, self.modified = other.stored, other.modified
        self.place = "https://alias.example.com/images"


def test_the_registrys_own_storage_takes_no_copy(source: FakeBucket) -> None:
    for bucket in (source, FakeBucket()):
        before = dict(bucket.stored)
        with pytest.raises(StorageError):
            back_up(bucket, SameBucket(bucket), DAY)
        assert bucket.stored == before


def test_a_registry_that_serves_a_copy_has_a_copy_of_its_own(target: FakeBucket) -> None:
    lost, source = FakeBucket(), target
    lost.push("r", A, "1")
    lost.place = "https://s3.example.com/lost"
    back_up(lost, source, DAY)
    third = FakeBucket()
    assert not back_up(source, third, DAY)
    assert record(source, backup_record.KEY).place == third.place
