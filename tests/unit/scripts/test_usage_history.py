"""How the usage has changed, and the picture of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.client.usage import draw
from scripts.maintenance import usage_history
from scripts.maintenance.usage import Row, Usage, table
from scripts.maintenance.usage_chart import COLORS, MOST_BARS, chart
from scripts.maintenance.usage_history import SHARED, TABLE_KEY, UNNEEDED, load, record
from scripts.shared.objects import StorageError
from tests.unit.conftest import Golden
from tests.unit.scripts.fake_bucket import FakeBucket

DAY = 86400


def used(**own: int) -> Usage:
    rows = [Row(name, 1, 1, size, 7, 0) for name, size in own.items()]
    return Usage(rows, shared=7, unneeded=20, copies=3)


def test_the_last_run_of_a_day_counts() -> None:
    bucket = FakeBucket()
    for hour in (0, 1, 23):
        record(bucket, used(a=hour), DAY + hour * 3600, "")
    record(bucket, used(a=5, b=6), 2 * DAY, "")
    assert load(bucket) == {
        "1970-01-02": {"a": 23, SHARED: 7, UNNEEDED: 23},
        "1970-01-03": {"a": 5, "b": 6, SHARED: 7, UNNEEDED: 23},
    }


def test_the_oldest_days_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_history, "DAYS", 2)
    bucket = FakeBucket()
    for day in (1, 3, 2):
        record(bucket, used(), day * DAY, "")
    assert list(load(bucket)) == ["1970-01-03", "1970-01-04"]


def test_the_table_of_the_last_run_is_kept_with_what_to_do() -> None:
    bucket = FakeBucket()
    record(bucket, used(a=5), DAY, "do this\n")
    assert bucket.stored[TABLE_KEY].decode() == f"{table(used(a=5))}\ndo this\n"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"[" * 200_000, b'{"1970-01-01": 1}', b'{"1970-01-01": {"a": ""}}']
)
def test_a_history_that_cannot_be_read_is_not_begun_anew(content: bytes) -> None:
    bucket = FakeBucket()
    bucket.put(usage_history.KEY, content)
    with pytest.raises(StorageError, match="fix: delete this object; the usage of past days"):
        record(bucket, used(), DAY, "")
    assert TABLE_KEY in bucket.stored, "what is there now is shown all the same"


def test_the_picture_is_the_golden_one(golden: Golden) -> None:
    history = {
        f"2026-11-{day:02}": {
            "team/app": day * 2**30,
            "base": 5 * 2**30,
            SHARED: 2**30,
            UNNEEDED: 0,
        }
        for day in range(1, 15)
    }
    golden("usage.svg", chart(history))


def bars(text: str) -> list[tuple[str, str]]:
    """Return the name and day of each part of a bar."""
    return re.findall("<title>(.*?), ([0-9-]+): ", text)


def test_a_picture_is_written_once_there_is_a_usage(tmp_path: Path) -> None:
    bucket, file = FakeBucket(), tmp_path / "usage.svg"
    with pytest.raises(StorageError, match="there is no usage yet"):
        draw(bucket, file)
    record(bucket, used(a=5), DAY, "")
    assert draw(bucket, file).endswith("usage.svg: days with a usage: 1")
    assert file.read_text() == chart(load(bucket))


def test_many_days_are_thinned_out_and_the_last_one_stays() -> None:
    history = {f"day-{number:03}": {"a": number} for number in range(2 * MOST_BARS + 1)}
    days = re.findall("day-[0-9]+: ", chart(history))
    assert len(days) <= MOST_BARS
    assert days[-1] == f"day-{2 * MOST_BARS}: "


def test_small_repositories_are_shown_as_one() -> None:
    sizes = {f"r{number}": 100 - number for number in range(len(COLORS) + 1)}
    text = chart({"2026-11-01": sizes, "2026-11-02": sizes})
    names = [name for name, day in bars(text) if day == "2026-11-02"]
    assert names == [*(f"r{number}" for number in range(len(COLORS) - 1)), "(others)"]
    assert f"(others), 2026-11-02: {100 - 8 + 100 - 9} B" in text


def test_a_repository_that_is_gone_is_shown_where_it_was() -> None:
    text = chart({"2026-11-01": {"old": 4}, "2026-11-02": {"new": 2}})
    assert "old, 2026-11-01: 4 B" in text
    assert "old, 2026-11-02: 0 B" in text
