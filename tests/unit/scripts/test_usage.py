"""The usage of a bucket, and what it costs."""

from __future__ import annotations

import pytest

from scripts.maintenance.keys import blob_key, swept_key
from scripts.maintenance.references import References
from scripts.maintenance.usage import GIB, Row, Usage, managed_usd, spaces_usd, table
from scripts.maintenance.usage import usage as usage_of
from scripts.maintenance.walk import Walk
from tests.unit.conftest import Golden
from tests.unit.scripts.fake_bucket import OF_BOTH, A, B, C, FakeBucket, Image, digest_of


def usage(bucket: FakeBucket) -> Usage:
    return usage_of(Walk(bucket, References(bucket)))


def size(*contents: bytes) -> int:
    return sum(map(len, contents))


def test_bytes_are_those_of_one_repository_or_shared_or_unneeded() -> None:
    bucket = FakeBucket()
    bucket.push("one", A, "a")
    bucket.push("one", B, "")
    bucket.push("two", C, "c")
    bucket.put(blob_key(digest_of(b"nobody's")), b"nobody's")
    bucket.put(swept_key(digest_of(b"copy")), b"copy")
    result = usage(bucket)
    config, shared, own = A.layers
    one = Row(
        "one",
        tags=1,
        manifests=2,
        own=size(config, own, A.manifest, *B.layers, B.manifest),
        shared=size(shared),
        untagged=size(*B.layers, B.manifest),
    )
    two = Row("two", 1, 1, size(C.layers[0], C.manifest), size(shared), 0)
    assert result == Usage([one, two], size(shared), size(b"nobody's"), size(b"copy"))
    blobs = [content for key, content in bucket.stored.items() if key.endswith("/data")]
    assert result.total == size(*blobs, b"copy")


def test_what_a_tag_holds_in_another_repository_is_not_untagged() -> None:
    bucket = FakeBucket()
    bucket.push("one", A, "a")
    bucket.push("two", A, "")
    rows = usage(bucket).rows
    assert [row.untagged for row in rows] == [0, 0]


def test_a_layer_that_is_lost_has_no_bytes() -> None:
    bucket = FakeBucket()
    bucket.push("one", A, "a")
    del bucket.stored[blob_key(digest_of(A.layers[1]))]
    (row,) = usage(bucket).rows
    assert row.own == size(A.layers[0], A.layers[2], A.manifest)


def test_an_odd_manifest_has_its_own_bytes_and_hides_no_others() -> None:
    bucket = FakeBucket()
    odd = Image(b"[")
    bucket.push("one", odd, "a")
    bucket.push("two", OF_BOTH, "a")
    two, one = usage(bucket).rows
    assert (one.name, one.own) == ("one", 1)
    assert two.own == size(*{*A.layers, *C.layers}, A.manifest, C.manifest, OF_BOTH.manifest)


@pytest.mark.parametrize(("gib", "usd"), [(0, 5), (250, 5), (251, 5.02), (1250, 25)])
def test_spaces_cost_five_dollars_and_two_cents_for_each_gib_above_250(
    gib: int, usd: float
) -> None:
    assert spaces_usd(gib * GIB) == pytest.approx(usd)


@pytest.mark.parametrize(("gib", "usd"), [(0, 5), (5, 5), (6, 5.02), (105, 7), (1005, 25)])
def test_the_managed_registry_costs_five_dollars_and_two_cents_for_each_gib_above_5(
    gib: int, usd: float
) -> None:
    assert managed_usd(gib * GIB) == pytest.approx(usd)


def test_the_table_is_the_golden_one(golden: Golden) -> None:
    rows = [
        Row("team/application", 12, 345, 3 * GIB, 700 * 2**20, 5000),
        Row("a", 1, 1, 1023, 0, 0),
    ]
    caches = {"hub": 2 * GIB, "a-name-of-32-characters-as-is-most": 5}
    text = table(Usage(rows, 700 * 2**20, 2**40, 0, caches))
    golden("usage.txt", f"{text}\n")
