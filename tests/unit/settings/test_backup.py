"""The copy of the images: what it needs, and where it may be."""

from __future__ import annotations

from typing import Any

import pytest

from settings.schedule import longest_days
from tests.unit.settings.helpers import GOOD, S3, loaded, problems
from tests.unit.settings.pulumi_config import Secret

COPY = {
    "bucket": "copies",
    "endpoint": "https://copies.test",
    "accessKey": "AKIA",
    "secretKey": Secret("hunter2"),
}


@pytest.mark.parametrize("off", [{}, {"backup": ""}, {"backup": None}, {"backup": {}}])
def test_without_it_there_is_none(off: dict[str, Any]) -> None:
    assert loaded({**GOOD, **off})[0].backup is None


def test_it_has_a_place_a_key_and_a_time() -> None:
    backup = loaded({**GOOD, "backup": COPY})[0].backup
    assert backup
    assert (backup.bucket, backup.schedule) == ("copies", "47 2 * * *")


@pytest.mark.parametrize("key", COPY)
def test_a_place_of_which_something_is_missing_is_refused(key: str) -> None:
    (problem,) = problems({**GOOD, "backup": {x: y for x, y in COPY.items() if x != key}})
    secret = "--secret " if key == "secretKey" else ""
    assert problem.fix == f"pulumi config set --path {secret}backup.{key}"


def test_what_a_storage_may_not_have_a_copy_may_not_have() -> None:
    plain = {**COPY, "endpoint": "http://s3.eu-west-1.amazonaws.com"}
    assert "plaintext" in problems({**GOOD, "backup": plain})[0].expected
    (problem,) = problems({**GOOD, "backup": {**COPY, "secretKey": "plain"}})
    assert problem.key == "backup.secretKey"
    assert "plain" not in problem.value


@pytest.mark.parametrize(
    ("changed", "allowed"),
    [
        ({}, False),
        ({"rootDirectory": "copy"}, False),
        ({"bucket": "copies"}, True),
        ({"endpoint": "https://other.test"}, True),
    ],
)
def test_the_storages_own_bucket_takes_no_copy(changed: dict[str, Any], allowed: bool) -> None:
    """Whatever deletes a bucket deletes all of its folders."""
    backup = {**COPY, "bucket": S3["bucket"], "endpoint": S3["endpoint"], **changed}
    values = {**GOOD, "storage": S3, "backup": backup}
    if allowed:
        loaded(values)
    else:
        (problem,) = problems(values)
        assert problem.fix == "pulumi config set --path backup.bucket"


@pytest.mark.parametrize(
    ("schedule", "days"),
    [
        *(("47 2 * * *", 1), ("*/5 * ? * ?", 1), ("@hourly", 1), ("@every 90m", 1)),
        *(("@daily", 1), ("@every 100h", 5), ("@weekly", 7), ("0 3 * * mon", 7)),
        *(("0 3 1 * *", 31), ("0 3 1 * 0", 7), ("@monthly", 31), ("@yearly", 366)),
        *(("0 3 1 */6 *", 366), (" 0  3 * *  sun ", 7)),
    ],
)
def test_between_two_copies_are_at_most_so_many_days(schedule: str, days: int) -> None:
    assert longest_days(schedule) == days
