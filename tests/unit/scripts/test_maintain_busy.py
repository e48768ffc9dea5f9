"""Runs of the maintenance while clients push, and runs that take long."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import pytest

from scripts.maintenance import state
from scripts.maintenance.images import tagged
from scripts.maintenance.keys import tag_key
from scripts.maintenance.references import References
from scripts.maintenance.repair import repair
from scripts.maintenance.walk import Walk
from scripts.shared.listing import Entry
from tests.unit.scripts.fake_bucket import A, FakeBucket, image, index
from tests.unit.scripts.test_maintain import run


class BusyBucket(FakeBucket):
    """A bucket to which an image is pushed while each list of the repositories is read.

    The list has pages; links of layers and manifests come before tags.
    """

    pushed = 0

    def list(self, prefix: str) -> Iterator[Entry]:
        tags = tag_key("r", "").partition("/current")[0]
        yield from (entry for entry in super().list(prefix) if entry.key < tags)
        if prefix.endswith("repositories/"):
            self.clock += 2
            self.pushed += 1
            new = image(f"config {self.pushed}".encode(), f"layer {self.pushed}".encode())
            self.push("r", index(index(new), A), f"new-{self.pushed}")
        yield from (entry for entry in super().list(prefix) if entry.key >= tags)


def test_what_is_pushed_while_the_bucket_is_listed_is_not_lost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bucket = BusyBucket()
    bucket.push("r", A, "a")
    assert run(bucket)
    assert bucket.pushed
    output = capsys.readouterr().out
    assert "lost" not in output
    assert "given back" not in output


def test_what_an_image_holds_that_was_pushed_meanwhile_is_read_too() -> None:
    bucket = BusyBucket()
    bucket.push("r", A, "a")
    walk = Walk(bucket, References(bucket))

    def decide() -> dict[str, object]:
        kept = tagged("r", walk)
        return {"r": mock.Mock(kept=kept)}

    repair(bucket, walk, state.load(bucket), decide)  # type: ignore[arg-type] # only kept counts
    (tag,) = walk.repositories["r"].tags.keys() - {"a"}
    held = tagged("r", walk)
    assert walk.repositories["r"].tags[tag].digest in held
    assert len(held) == 4
    assert held.keys() == walk.manifests.keys() == walk.repositories["r"].revisions.keys()


def test_a_walk_that_takes_longer_than_clocks_may_be_apart_is_no_skew() -> None:
    bucket = FakeBucket()
    bucket.push("r", A, "a")

    def wait(method: str, key: str) -> None:
        if method == "LIST" and key.endswith("blobs/"):
            bucket.clock += 3600

    bucket.before = wait
    assert run(bucket)
