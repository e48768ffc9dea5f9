"""Which blobs are compared with their digests, and what that costs on average."""

from __future__ import annotations

from collections import Counter

import pytest

from scripts.maintenance import sample
from scripts.maintenance.keys import blob_key
from scripts.maintenance.references import References
from scripts.maintenance.sample import check_sample
from scripts.maintenance.state import State
from scripts.maintenance.walk import Walk
from tests.unit.scripts.fake_bucket import A, FakeBucket, digest_of

RUNS = 4000


@pytest.fixture(autouse=True)
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "SAMPLE_BYTES", 64)
    monkeypatch.setattr(sample, "SAMPLE_BLOBS", 5)


def bucket_of(*sizes: int) -> FakeBucket:
    bucket = FakeBucket()
    for number, size in enumerate(sizes):
        content = f"{number:04}".encode().ljust(size)
        bucket.put(blob_key(digest_of(content)), content)
    return bucket


def reads(bucket: FakeBucket) -> Counter[str]:
    """Return how often each blob is read in many runs."""
    walk = Walk(bucket, References(bucket))
    bucket.read.clear()
    for _ in range(RUNS):
        before = len(bucket.read)
        assert check_sample(bucket, walk, State()) == len(bucket.read) - before
    assert not walk.damaged
    return Counter(bucket.read)


@pytest.mark.parametrize(
    "sizes",
    [
        [10] * 3,
        [10] * 40,
        [5] * 1000,
        [4, 8, 16, 32, 500],
        [4] * 9 + [3000],
        [5000, 4],
        [100_000],
    ],
)
def test_the_budget_holds_on_average_and_each_blob_is_as_likely_as_any_other(
    sizes: list[int],
) -> None:
    bucket = bucket_of(*sizes)
    times = reads(bucket)
    share = min(1, 5 / len(sizes), 64 / sum(sizes))
    expected = share * RUNS
    # 6 standard deviations of a binomial distribution.
    margin = 6 * (expected * (1 - share)) ** 0.5 + 1
    for key in bucket.stored:
        assert abs(times[key] - expected) <= margin
    read = sum(times[key] * len(content) for key, content in bucket.stored.items())
    assert read <= RUNS * 64 + margin * max(sizes)
    assert times.total() <= RUNS * 5 + 6 * RUNS**0.5


def test_nothing_is_read_of_an_empty_bucket() -> None:
    bucket = FakeBucket()
    assert check_sample(bucket, Walk(bucket, References(bucket)), State()) == 0


def test_what_a_manifest_says_of_a_blobs_size_changes_nothing() -> None:
    bucket = bucket_of(*[10] * 3)
    bucket.push("r", A, "a")
    listed = Walk(bucket, References(bucket))
    sizes = {digest: len(bucket.stored[blob_key(digest)]) for digest in listed.blobs}
    assert listed.blobs == sizes, "it is chosen by what the storage lists"


def test_other_content_is_damage_and_what_is_gone_is_none() -> None:
    bucket = bucket_of(4, 5, 6)
    walk = Walk(bucket, References(bucket))
    damaged, missing, whole = walk.blobs
    bucket.put(blob_key(damaged), b"0007")
    bucket.delete(blob_key(missing))
    assert check_sample(bucket, walk, State()) == 3
    assert walk.damaged == {damaged}
    assert whole not in walk.damaged


def test_what_was_damaged_is_compared_in_each_run() -> None:
    bucket = bucket_of(*[5] * 1000)
    state, walk = State(), Walk(bucket, References(bucket))
    damaged = next(iter(walk.blobs))
    state.damaged = [damaged, f"sha256:{'0' * 64}"]
    bucket.put(blob_key(damaged), b"other")
    check_sample(bucket, walk, state)
    assert state.damaged == [damaged]
    assert blob_key(damaged) in bucket.read


def test_only_digests_that_are_compared_count() -> None:
    bucket = bucket_of(4)
    bucket.put(blob_key(f"sha512:{'0' * 128}"), b"x" * 1000)
    assert check_sample(bucket, Walk(bucket, References(bucket)), State()) == 1
