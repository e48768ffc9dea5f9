"""What was brought back counts as pushed when it was pushed, and no rule deletes it."""

from __future__ import annotations

import json
import time

import pytest

from scripts.client import bring_back
from scripts.maintenance import history
from scripts.maintenance.clock import DAY
from scripts.maintenance.history import RESTORED, load_restored
from scripts.maintenance.keys import tag_key
from scripts.maintenance.maintain import Maintenance, Task
from scripts.maintenance.plan import Times
from scripts.maintenance.references import References
from scripts.maintenance.registry_pods import Pods
from scripts.maintenance.repository import Tag
from scripts.maintenance.retention import Retention, Rule
from scripts.maintenance.walk import Walk
from scripts.shared.objects import StorageError
from tests.unit.scripts.fake_bucket import A, B, C, FakeBucket, image
from tests.unit.scripts.restoring import look, restored

HOUR = 3600
LAST = Retention([Rule("last", ["*"], last=2, days=0, matching=[])])


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> FakeBucket:
    bucket = FakeBucket()
    monkeypatch.setattr(time, "time", lambda: bucket.clock)
    for number, pushed in enumerate((A, B, C)):
        bucket.clock += HOUR
        bucket.push("r", pushed, f"v{number}")
    return bucket


def maintain(bucket: FakeBucket, hours: int) -> None:
    """Run the maintenance hourly; two images stay."""
    pods = Pods("nobody.invalid:1", "", "")
    task = Task("one", pods, LAST, dry_run=False, collect=True, times=Times(keep=90 * DAY))
    for _ in range(hours):
        bucket.clock += HOUR
        assert Maintenance(bucket, task).run()


def tags(bucket: FakeBucket) -> dict[str, Tag]:
    known = history.load(bucket)
    return Walk(bucket, References(bucket), known.pushed).repositories["r"].tags


def test_a_restored_tag_keeps_its_push_time_pushes_nothing_out_and_stays(
    bucket: FakeBucket,
) -> None:
    # Else one image is lost for each that comes back, or all that came back are lost a day later.
    pushed = tags(bucket)["v0"].pushed
    maintain(bucket, 26)
    assert tags(bucket).keys() == {"v1", "v2"}
    restored(bucket, "v0")
    assert tags(bucket)["v0"].pushed == pushed
    maintain(bucket, 50)
    assert tags(bucket).keys() == {"v0", "v1", "v2"}
    assert tags(bucket)["v0"].pushed == pushed
    assert history.load(bucket).tags["r"]["v0"].pushed == pushed


def test_what_is_pushed_after_it_came_back_is_a_push_like_any_other(bucket: FakeBucket) -> None:
    maintain(bucket, 26)
    restored(bucket, "v0")
    bucket.clock += HOUR
    bucket.push("r", A, "v0")
    assert tags(bucket)["v0"].pushed == bucket.clock
    maintain(bucket, 26)
    assert tags(bucket).keys() == {"v0", "v2"}


def test_a_copy_of_the_bucket_keeps_what_was_restored(bucket: FakeBucket) -> None:
    maintain(bucket, 26)
    restored(bucket, "v0")
    bucket.place = "https://s3.example.com/copy"
    bucket.clock += HOUR
    bucket.modified = dict.fromkeys(bucket.stored, bucket.clock)
    maintain(bucket, 26)
    assert tags(bucket).keys() == {"v0", "v1", "v2"}
    assert tags(bucket)["v0"].pinned


def test_many_tags_may_take_long_to_be_written(
    bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    maintain(bucket, 26)
    monkeypatch.setattr(bring_back, "BATCH_SECONDS", 1)

    def slow(method: str, _: str) -> None:
        bucket.clock += 60 * (method == "PUT")

    bucket.before = slow
    restored(bucket, "v0")
    bucket.before = bucket.nothing
    assert tags(bucket)["v0"].pinned


@pytest.mark.parametrize("at", range(1, 12))
def test_two_commands_at_a_time_forget_nothing_of_each_other(bucket: FakeBucket, at: int) -> None:
    maintain(bucket, 26)
    other = {"s": {"x": [B.digest, 1.0, bucket.clock + DAY]}}
    seen, unnoticed = 0, False

    def interfere(method: str, key: str) -> None:
        nonlocal seen, unnoticed
        seen += key in {RESTORED, tag_key("r", "v0")} and method in {"HEAD", "GET", "PUT"}
        if seen == at:
            seen += 1
            unnoticed = (method, key) == ("PUT", RESTORED)
            content = json.loads(bucket.stored.get(RESTORED, b"{}"))
            bucket.stored[RESTORED] = json.dumps({**content, **other}).encode()

    bucket.before = interfere
    restored(bucket, "v0")
    bucket.before = bucket.nothing
    assert tags(bucket)["v0"].pinned
    # Between a look and the write that follows it, S3 shows nothing; then the other command, which
    # reads what it wrote, writes it again.
    assert unnoticed or "s" in load_restored(bucket)


def test_what_is_overwritten_by_another_command_is_written_again(bucket: FakeBucket) -> None:
    maintain(bucket, 26)

    def overwrite(method: str, key: str) -> None:
        if method == "PUT" and key == tag_key("r", "v0"):
            bucket.stored[RESTORED] = b"{}"

    bucket.before = overwrite
    restored(bucket, "v0")
    assert tags(bucket)["v0"].pinned


def test_an_object_that_changes_all_the_time_is_an_error_before_the_tag_is_written(
    bucket: FakeBucket,
) -> None:
    maintain(bucket, 26)

    def change(method: str, key: str) -> None:
        if method == "GET" and key == RESTORED:
            bucket.clock += 1
            bucket.stored[RESTORED] = json.dumps(
                {"s": {"x": [B.digest, bucket.clock, 9e9]}}
            ).encode()

    bucket.before = change
    with pytest.raises(StorageError, match="somebody else brings tags back; try again"):
        restored(bucket, "v0")
    assert tag_key("r", "v0") not in bucket.stored


def test_what_no_tag_names_any_more_is_forgotten(bucket: FakeBucket) -> None:
    # Or it grows for ever.
    maintain(bucket, 26)
    restored(bucket, "v0")
    maintain(bucket, 1)
    bucket.push("r", image(b"other"), "v0")
    maintain(bucket, 1)
    bucket.delete_tag("r", "v1")
    look(bucket)
    restored(bucket, "v1")
    assert load_restored(bucket)["r"].keys() == {"v1"}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"r": {"v0": 1}}', b'{"r": 1}'])
def test_what_was_restored_and_cannot_be_read_is_not_forgotten_unasked(
    bucket: FakeBucket, content: bytes
) -> None:
    maintain(bucket, 26)
    bucket.stored[RESTORED] = content
    with pytest.raises(StorageError, match=r"restored.json cannot be read .* delete this object"):
        restored(bucket, "v0")
    assert bucket.stored[RESTORED] == content
