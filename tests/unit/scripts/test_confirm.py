"""What a run has stopped for goes on after somebody has confirmed it, and nothing else does."""

from __future__ import annotations

import io
import sys
import time
from contextlib import nullcontext

import pytest

from scripts.client import confirm
from scripts.maintenance import fuse
from scripts.maintenance.clock import DAY
from scripts.maintenance.maintain import CONFIRM, Maintenance, Task
from scripts.maintenance.plan import Times
from scripts.maintenance.registry_pods import Pods
from scripts.maintenance.retention import Retention, Rule
from scripts.maintenance.state import Stopped, Sums
from tests.unit.scripts.fake_bucket import FakeBucket, image

WRONG = Retention([Rule("wrong", ["*"], last=1, days=0, matching=[])])


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> FakeBucket:
    """Have a bucket of ten tags, of which a rule would delete nine."""
    bucket = FakeBucket()
    monkeypatch.setattr(time, "time", lambda: bucket.clock)
    for number in range(10):
        bucket.clock += 60
        bucket.push("r", image(f"{number}".encode()), f"v{number}")
    bucket.clock += 2 * DAY
    return bucket


def maintain(bucket: FakeBucket, retention: Retention = WRONG) -> bool:
    pods = Pods("nobody.invalid:1", "", "")
    task = Task("one", pods, retention, dry_run=False, collect=True, times=Times(keep=7 * DAY))
    bucket.clock += 3600
    return Maintenance(bucket, task).run()


def command(
    bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch, *arguments: str, entered: str = ""
) -> int:
    """Run the command, and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["confirm", *arguments])
    monkeypatch.setattr(sys, "stdin", io.StringIO(entered))
    monkeypatch.setattr(confirm, "objects_of", lambda _: nullcontext(bucket))
    return confirm.main()


@pytest.mark.parametrize(("arguments", "entered"), [(["--yes"], ""), ([], "yes\n")])
def test_a_run_that_has_stopped_goes_on_after_it_was_confirmed(
    bucket: FakeBucket,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    entered: str,
) -> None:
    assert not maintain(bucket)
    log = capsys.readouterr().out
    assert "9 of 10 tags" in log
    assert all(f"would expire: tag r:v{number}\n" in log for number in range(9)), "who can say yes?"
    assert f"if that is right: {CONFIRM}\n" in log
    assert f"python3 -m {confirm.__name__}" == CONFIRM
    assert not maintain(bucket), "it does not go on by itself"
    assert command(bucket, monkeypatch, *arguments, entered=entered) == 0
    assert "has stopped: 9 of 10 tags" in capsys.readouterr().out
    assert maintain(bucket)
    assert sum(key.endswith("current/link") for key in bucket.stored) == 1


def test_what_is_gone_and_what_would_go_are_confirmed_one_after_the_other(
    bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The second confirmation is of less than the first, which must not count again.
    for number in range(10, 15):
        bucket.clock += 1
        bucket.push("r", image(f"{number}".encode()), f"v{number}")
    bucket.clock += 2 * DAY
    assert maintain(bucket, Retention())
    for number in range(8):
        bucket.delete_tag("r", f"v{number}")
    for expected in ("8 of 15 tags", "6 of 7 tags"):
        assert not maintain(bucket)
        capsys.readouterr()
        assert command(bucket, monkeypatch, "--yes") == 0
        assert f"has stopped: {expected}" in capsys.readouterr().out
    assert maintain(bucket)


@pytest.mark.parametrize("entered", ["", "\n", "no\n", "y\n"])
def test_nothing_is_confirmed_without_a_yes(
    bucket: FakeBucket,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    entered: str,
) -> None:
    assert not maintain(bucket)
    assert command(bucket, monkeypatch, entered=entered) == 1
    assert "nothing was confirmed" in capsys.readouterr().out
    assert fuse.KEY not in bucket.stored


def test_what_has_not_stopped_cannot_be_confirmed(
    bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Or somebody would confirm for days whatever comes.
    for retention in (None, Retention()):
        if retention:
            assert not maintain(bucket)
            assert maintain(bucket, retention), "the rule was taken back"
        assert command(bucket, monkeypatch, "--yes") == 1
        assert "nothing is to be confirmed" in capsys.readouterr().out
    assert fuse.KEY not in bucket.stored


def test_a_tenth_more_is_confirmed_for_a_while_and_no_more(bucket: FakeBucket) -> None:
    bucket.get("")
    stopped = Stopped(Sums(tags=10, manifests=9, blobs=0, size=101), "", seconds=DAY)
    assert fuse.confirm(bucket, stopped) == bucket.now + DAY
    for part, expected in (
        (Sums(11, 10, 0, 112), True),
        (Sums(12, 0, 0, 0), False),
        (Sums(0, 11, 0, 0), False),
        (Sums(0, 0, 1, 0), False),
        (Sums(0, 0, 0, 113), False),
    ):
        assert fuse.confirmed(bucket, part, bucket.now) == expected
    assert not fuse.confirmed(bucket, Sums(tags=1), bucket.now + DAY)
