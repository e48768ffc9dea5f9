"""What is gone is listed: since when, by whom, and until when it can come back."""

from __future__ import annotations

import pytest

from scripts.client.restore import Restore
from scripts.maintenance import history, state
from scripts.maintenance.clock import DAY
from scripts.maintenance.keys import blob_key, swept_key
from scripts.maintenance.state import State
from tests.unit.scripts.fake_bucket import A, B, C, FakeBucket
from tests.unit.scripts.restoring import HOUR, look, push


@pytest.fixture
def bucket() -> FakeBucket:
    bucket = FakeBucket()
    push(bucket, A, 0.5)
    look(bucket, 1)
    return bucket


def remember(bucket: FakeBucket, days: float, **unneeded: float) -> None:
    """Write the state of a maintenance that keeps what nothing needs for some days."""
    known = State(keep=days * DAY, place=bucket.place, etag="")
    known.unneeded = {f"sha256:{x.removeprefix('x')}": since for x, since in unneeded.items()}
    bucket.stored.pop(state.KEY, None)
    state.save(bucket, known)


def listed(bucket: FakeBucket, repository: str = "r") -> list[list[str]]:
    """Return the rows of the list, cell by cell."""
    heads, *rows = Restore(bucket, None).missing(repository)
    starts = [heads.index(x) for x in ("image", "pushed", "gone", "by", "kept", "digest")]
    ends = [*starts[1:], None]
    return [[row[a:b].strip() for a, b in zip(starts, ends, strict=True)] for row in rows]


def test_nothing_is_gone_of_what_is_there(bucket: FakeBucket) -> None:
    assert list(Restore(bucket, None).missing("r")) == ["nothing is known to be gone"]


def test_the_list_says_what_is_gone_since_when_and_by_whom(bucket: FakeBucket) -> None:
    push(bucket, B, 1.5, "b")
    push(bucket, C, 1.5, "c")
    bucket.push("other", C, "c")
    look(bucket, 2)
    known = history.load(bucket)
    known.expire({"r": {"b"}}, {"r": "team"})
    history.save(bucket, known)
    bucket.delete_tag("r", "b")
    push(bucket, B, 2.5, "c")
    look(bucket, 3)
    # No run has seen this yet.
    bucket.clock = 3.5 * HOUR
    bucket.delete_tag("r", "a")
    bucket.delete_tag("other", "c")
    hours = "1970-01-01 00:30 UTC", "1970-01-01 01:30 UTC"
    rows = [
        ["r:a", hours[0], "1970-01-01 03:30 UTC", "a client", "not deleted", A.digest],
        ["r:c", hours[1], "1970-01-01 03:00 UTC", "a client, overwritten", "not deleted", C.digest],
        ["r:b", hours[1], "1970-01-01 02:00 UTC", "rule team", "not deleted", B.digest],
    ]
    assert listed(bucket) == rows
    assert [row[0] for row in listed(bucket, "")] == ["other:c", "r:a", "r:c", "r:b"]


def test_what_went_twice_is_listed_once_as_it_went_last(bucket: FakeBucket) -> None:
    for hours in (2, 4):
        bucket.delete_tag("r", "a")
        look(bucket, hours)
        push(bucket, A, hours + 0.5)
        look(bucket, hours + 1)
    bucket.delete_tag("r", "a")
    look(bucket, 6)
    (row,) = listed(bucket)
    assert row[1:3] == ["1970-01-01 04:30 UTC", "1970-01-01 06:00 UTC"]


def test_what_was_restored_is_not_gone(bucket: FakeBucket) -> None:
    bucket.delete_tag("r", "a")
    look(bucket, 2)
    assert len(listed(bucket)) == 1
    list(Restore(bucket, None).tag("r", "a", None))
    assert list(Restore(bucket, None).missing("r")) == ["nothing is known to be gone"]


@pytest.mark.parametrize(
    ("days", "since", "swept", "end"),
    [
        (7, 2 * HOUR, False, "1970-01-08 02:00 UTC"),
        # Nothing is deleted that was not seen to be unneeded, nor where nothing is collected.
        (7, None, False, "not deleted"),
        (0, 2 * HOUR, False, "not deleted"),
        (0, 2 * HOUR, True, "not deleted"),
        # The copy that a deletion leaves is kept as long again.
        (7, 2 * HOUR, True, "1970-01-08 03:00 UTC"),
        # It is due, but is there.
        (0.01, 2 * HOUR, False, "the next run"),
    ],
)
def test_the_list_says_until_when_an_image_can_come_back(
    bucket: FakeBucket, days: float, since: float | None, swept: bool, end: str
) -> None:
    bucket.delete_manifest("r", A.digest)
    look(bucket, 3)
    if swept:
        bucket.put(swept_key(A.digest), bucket.stored.pop(blob_key(A.digest)))
    unneeded = {} if since is None else {A.digest.replace("sha256:", "x"): since}
    remember(bucket, days, **unneeded)
    assert listed(bucket)[0][4] == end


def test_the_list_says_what_is_gone_for_good(bucket: FakeBucket) -> None:
    bucket.delete_manifest("r", A.digest)
    del bucket.stored[blob_key(A.digest)]
    assert listed(bucket)[0][4] == "gone for good"
