"""What tags named, and when they were pushed, is known in a copy of the bucket, too."""

from __future__ import annotations

import pytest

from scripts.maintenance.clock import DAY, Clock
from scripts.maintenance.history import (
    GONE,
    KEY,
    REMEMBER_DAYS,
    Gone,
    History,
    Named,
    Restored,
    load,
    load_gone,
    save,
)
from scripts.maintenance.references import References
from scripts.maintenance.remembered import day
from scripts.maintenance.repository import Tag
from scripts.maintenance.retention import Rule
from scripts.maintenance.walk import Walk
from scripts.shared.objects import StorageError
from tests.unit.scripts.fake_bucket import A, B, C, FakeBucket

HOUR = 3600
LAST = Rule("last", ["*"], last=1, days=0, matching=[])


def look(bucket: FakeBucket) -> None:
    """Do what a run of the maintenance does, an hour after the one before."""
    bucket.clock += HOUR
    history = load(bucket)
    history.record(Walk(bucket, References(bucket), history.pushed))
    save(bucket, history)


def expired(bucket: FakeBucket, *, remembered: bool = True) -> set[str]:
    """Return which tags go, if one image stays that was pushed last."""
    references = References(bucket)
    walk = Walk(bucket, references, load(bucket).pushed) if remembered else Walk(bucket, references)
    return LAST.expired(walk.repositories["r"].tags, (), Clock(now=walk.now))


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
    assert expired(bucket, remembered=False) == {"b", "c"}
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


def test_what_is_gone_is_noted_with_its_push_and_when_that_was_noticed() -> None:
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    pushed = bucket.clock
    look(bucket)
    bucket.push("r", B, "a")
    look(bucket)
    bucket.delete_tag("r", "a")
    look(bucket)
    first, then = pushed + HOUR, pushed + 2 * HOUR
    assert load_gone(bucket) == [
        Gone("r", "a", A.digest, first, pushed, pushed, "a client", noticed=then),
        Gone("r", "a", B.digest, then, first, first, "a client", noticed=then + HOUR),
    ]


def test_what_a_rule_deletes_is_noted_with_its_name_and_not_again_by_the_next_run() -> None:
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    look(bucket)
    history = load(bucket)
    history.expire({"r": {"a"}}, {"r": "team"})
    save(bucket, history)
    bucket.delete_tag("r", "a")
    look(bucket)
    (gone,) = load_gone(bucket)
    assert (gone.by, gone.noticed) == ("rule team", history.time)


def test_what_tags_named_is_known_for_90_days() -> None:
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    look(bucket)
    bucket.delete_tag("r", "a")
    look(bucket)
    bucket.clock += 89 * DAY
    look(bucket)
    assert [gone.tag for gone in load_gone(bucket)] == ["a"]
    bucket.clock += 2 * DAY
    look(bucket)
    assert not load_gone(bucket)
    assert not list(bucket.list(GONE))


def test_a_run_reads_only_the_day_that_it_writes() -> None:
    # A registry of 400 builds a day has 36 MiB of what is gone, and a run has 256 MiB.
    bucket = FakeBucket()
    for number in range(5):
        bucket.push("r", A if number % 2 else B, "a")
        look(bucket)
        bucket.clock += DAY
    bucket.read.clear()
    look(bucket)
    assert len([key for key in bucket.read if key.startswith(GONE)]) <= 1
    assert len(load_gone(bucket)) == 4


def test_a_run_that_ends_before_it_has_forgotten_a_tag_notes_it_again() -> None:
    # What is gone is written first: noted twice it can be restored, and not noted it cannot.
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    look(bucket)
    bucket.delete_tag("r", "a")

    def end(method: str, key: str) -> None:
        if (method, key) == ("PUT", KEY):
            raise StorageError("it ends")

    bucket.before = end
    with pytest.raises(StorageError, match="it ends"):
        look(bucket)
    bucket.before = bucket.nothing
    look(bucket)
    assert {gone.digest for gone in load_gone(bucket)} == {A.digest}


@pytest.mark.parametrize(
    ("digest", "modified", "pinned"),
    [(A.digest, 500, True), (A.digest, 501, False), (B.digest, 500, False)],
)
def test_only_what_the_restore_wrote_counts_as_restored(
    digest: str, modified: float, pinned: bool
) -> None:
    history = load(FakeBucket())
    history.restored = {"r": {"a": Restored(A.digest, pushed=7, written=500)}}
    tag = history.pushed("r", "a", Tag(digest, modified, modified))
    assert (tag.pinned, tag.pushed) == (pinned, 7 if pinned else modified)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"time": 1, "tags": {"r": {"a": 1}}}', b"[" * 9999]
)
def test_a_history_that_cannot_be_read_is_not_begun_anew(content: bytes) -> None:
    bucket = FakeBucket()
    bucket.put(KEY, content)
    with pytest.raises(StorageError, match=r"cannot be read .* delete this object"):
        load(bucket)


@pytest.mark.parametrize("content", [b"", b"[[1]]", b"[1]", b"null"])
def test_a_day_that_cannot_be_read_is_not_begun_anew(content: bytes) -> None:
    bucket = FakeBucket()
    bucket.put(f"{GONE}1970-01-12.json", content)
    with pytest.raises(StorageError, match=r"cannot be read .* delete this object"):
        load_gone(bucket)


def test_the_days_that_are_remembered_begin_at_midnight() -> None:
    bucket = FakeBucket()
    bucket.clock = 11_000 * DAY
    first = f"{GONE}{day(bucket.clock)}.json"
    before = f"{GONE}{day(bucket.clock - 1)}.json"
    bucket.put(first, b"[]")
    bucket.put(before, b"[]")
    save(bucket, History(time=bucket.clock + REMEMBER_DAYS * DAY))
    assert {entry.key for entry in bucket.list(GONE)} == {first}


def test_what_a_run_saw_to_be_gone_stays_noted_until_it_is_written() -> None:
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    bucket.push("r", B, "b")
    look(bucket)
    seen = load(bucket)
    for tag in ("a", "b"):
        bucket.delete_tag("r", tag)
        seen.record(Walk(bucket, References(bucket), seen.pushed))
    assert [gone.tag for gone in seen.gone] == ["a", "b"]


def test_what_was_written_in_the_second_in_which_the_copy_was_first_seen_is_copied() -> None:
    """Storage tells whole seconds."""
    known = History(tags={"r": {"a": Named(A.digest, 1, 2)}}, copied=9)
    assert known.pushed("r", "a", Tag(A.digest, 9, 9)).pushed == 2
    assert known.pushed("r", "a", Tag(A.digest, 10, 10)).pushed == 10
