"""How much may go, or be gone, without anybody's confirmation."""

from __future__ import annotations

import json

import pytest

from scripts.maintenance.fuse import KEY, blows, confirmed, gone, sums, words
from scripts.maintenance.references import References
from scripts.maintenance.state import Sums
from scripts.maintenance.walk import Walk
from scripts.shared.objects import StorageError
from tests.unit.scripts.fake_bucket import OF_BOTH, FakeBucket

WHOLE = Sums(tags=100, manifests=200, blobs=1000, size=10_000)


@pytest.mark.parametrize(
    ("part", "stops"),
    [
        (Sums(), False),
        (Sums(20, 40, 200, 2000), False),
        (Sums(tags=21), True),
        (Sums(manifests=41), True),
        (Sums(blobs=20, size=2001), True),
        # One large image of a few blobs may be all that somebody deletes.
        (Sums(blobs=19, size=9000), False),
        (Sums(blobs=900, size=2000), False),
        (WHOLE, True),
    ],
)
def test_more_than_a_fifth_of_tags_manifests_or_bytes_stops_a_run(part: Sums, stops: bool) -> None:
    assert blows(part, WHOLE) == stops


@pytest.mark.parametrize(
    ("part", "whole", "stops"),
    [
        (Sums(4, 4, 19, 100), Sums(4, 4, 19, 100), False),
        (Sums(tags=5), Sums(tags=5), True),
        (Sums(manifests=5), Sums(manifests=5), True),
        (Sums(blobs=20, size=1), Sums(blobs=20, size=1), True),
    ],
)
def test_a_small_registry_may_lose_its_images(part: Sums, whole: Sums, stops: bool) -> None:
    assert blows(part, whole) == stops


def test_nothing_counts_twice() -> None:
    bucket = FakeBucket()
    bucket.push("one", OF_BOTH, "a")
    bucket.push("two", OF_BOTH, "a")
    walk = Walk(bucket, References(bucket))
    assert sums(walk) == Sums(2, 3, 7, sum(walk.blobs.values()))


def test_what_is_gone_is_what_there_is_less() -> None:
    assert gone(WHOLE, Sums(99, 300, 0, 10_000)) == Sums(1, 0, 1000, 0)
    assert gone(Sums(), WHOLE) == Sums(), "a first run misses nothing"


def confirm(bucket: FakeBucket, most: Sums, until: float) -> None:
    bucket.put(KEY, json.dumps({"until": until, "most": most}).encode())


def test_what_was_confirmed_may_go_until_it_is_too_much_or_too_late() -> None:
    bucket = FakeBucket()
    assert not confirmed(bucket, Sums(), 5), "nobody has confirmed anything"
    confirm(bucket, WHOLE, until=10)
    assert confirmed(bucket, WHOLE, 9.9)
    assert not confirmed(bucket, WHOLE, 10)
    for more in ({"tags": 101}, {"manifests": 201}, {"blobs": 1001}, {"size": 10_001}):
        assert not confirmed(bucket, WHOLE._replace(**more), 5)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"until": "", "most": []}', b'{"until": 9, "most": 5}']
)
def test_a_confirmation_that_cannot_be_read_is_none(content: bytes) -> None:
    bucket = FakeBucket()
    bucket.put(KEY, content)
    with pytest.raises(StorageError, match="fix: delete this object; nothing is confirmed then"):
        confirmed(bucket, Sums(), 5)


def test_the_figures_are_shown() -> None:
    assert words(Sums(1, 2, 3, 4), WHOLE) == ("1 of 100 tags, 2 of 200 manifests, 4 of 10000 bytes")
