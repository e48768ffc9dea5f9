"""What tags named, and when they were pushed, is known in a copy of the bucket, too."""

from __future__ import annotations

import pytest

from scripts.maintenance.retention import Retention, Rule
from scripts.maintenance.tag_history import KEY, load, save
from scripts.maintenance.walk import Walk
from scripts.shared.objects import StorageError
from tests.unit.scripts.fake_bucket import A, B, C, FakeBucket

HOUR = 3600
LAST = Retention([Rule(["*"], last=1, days=0, matching=[])])


def look(bucket: FakeBucket) -> None:
    """Do what a run of the maintenance does, an hour after the one before."""
    bucket.clock += HOUR
    history = load(bucket)
    walk = Walk(bucket, history.pushed)
    history.record(walk, walk.now)
    save(bucket, history)


def expired(bucket: FakeBucket) -> set[str]:
    """Return which tags go, if one image stays that was pushed last."""
    walk = Walk(bucket, load(bucket).pushed)
    return LAST.expired("r", walk.repositories["r"].tags, walk.now)


def copy(bucket: FakeBucket, place: str) -> None:
    """Make it another bucket: the tag that was pushed last is copied first."""
    bucket.place = place
    for key in sorted(bucket.stored, reverse=True):
        bucket.clock += 1
        bucket.modified[key] = bucket.clock


@pytest.fixture
def copied() -> FakeBucket:
    """Return a copy of a bucket of three tags, of which c was pushed last."""
    bucket = FakeBucket()
    for tag, pushed in (("a", A), ("b", B), ("c", C)):
        bucket.push("r", pushed, tag)
        look(bucket)
    assert expired(bucket) == {"a", "b"}
    copy(bucket, "https://s3.example.com/copy")
    raw = Walk(bucket)
    assert LAST.expired("r", raw.repositories["r"].tags, raw.now) == {"b", "c"}
    return bucket


def test_a_copy_is_no_push(copied: FakeBucket) -> None:
    for _ in range(3):
        assert expired(copied) == {"a", "b"}
        look(copied)
    copy(copied, "https://s3.example.com/another-copy")
    for _ in range(3):
        assert expired(copied) == {"a", "b"}
        look(copied)


def test_what_is_pushed_after_the_copy_was_pushed_last(copied: FakeBucket) -> None:
    look(copied)
    copied.clock += 1
    copied.push("r", A, "a")
    for _ in range(3):
        assert expired(copied) == {"b", "c"}
        look(copied)


def test_a_tag_that_named_something_else_before_the_copy_was_pushed_since(
    copied: FakeBucket,
) -> None:
    copied.push("r", B, "a")
    assert expired(copied) == {"c"}


def test_what_is_pushed_again_was_pushed_last_but_was_there_before() -> None:
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    look(bucket)
    first = bucket.clock - HOUR
    bucket.push("r", A, "a")
    look(bucket)
    (named,) = load(bucket).tags["r"].values()
    assert named == (A.digest, first, first + HOUR)


def test_what_tags_named_is_known_for_90_days() -> None:
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    look(bucket)
    bucket.delete_tag("r", "a")
    look(bucket)
    bucket.clock += 89 * 86400
    look(bucket)
    assert [gone.tag for gone in load(bucket).gone] == ["a"]
    bucket.clock += 86400
    look(bucket)
    assert not load(bucket).gone


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"time": 1, "tags": {}, "gone": [[1]]}'])
def test_a_history_that_cannot_be_read_is_not_begun_anew(content: bytes) -> None:
    bucket = FakeBucket()
    bucket.put(KEY, content)
    with pytest.raises(StorageError, match=r"cannot be read .* delete this object"):
        load(bucket)
