"""What the maintenance writes is read alike everywhere."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from scripts.maintenance.remembered import date, day, write
from tests.unit.scripts.fake_bucket import FakeBucket


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be where the local time is not UTC, as who restores may be."""
    monkeypatch.setenv("TZ", "UTC+5")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
def test_times_are_in_utc_wherever_somebody_reads_them() -> None:
    """Days are in the names of objects, so that each place must find the same ones."""
    assert date(3600) == "1970-01-01 01:00 UTC"
    assert day(3600) == "1970-01-01"


def test_no_space_is_stored_as_these_objects_are_read_and_written_by_each_run() -> None:
    bucket = FakeBucket()
    write(bucket, "key", {"tags": [1, 2]})
    assert bucket.stored["key"] == b'{"tags":[1,2]}'
