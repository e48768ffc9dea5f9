"""What `up` shows of the storage's usage."""

from __future__ import annotations

import json

import pulumi
import pytest

from components.backup import report_backup
from components.maintenance import report_usage
from scripts.maintenance.backup_record import KEY, Record
from scripts.maintenance.usage_history import TABLE_KEY
from tests.unit.odd_servers import ODD, OddServer
from tests.unit.program.conftest import CONFIG, Run
from tests.unit.program.modes import MODES
from tests.unit.servers import Request, Result, Serve


def storage(request: Request) -> Result:
    """Return the table of the last run, which is in the bucket and in a folder of it."""
    there = request.path in (f"/images/k3s/{TABLE_KEY}", f"/images/{TABLE_KEY}")
    body = "repository  tags\n" if there else "<Error/>"
    return 200 if there else 404, {"Last-Modified": "Wed, 25 Nov 2026 12:17:01 GMT"}, body


@pytest.fixture
def connection(serve: Serve) -> dict[str, str]:
    return {
        "endpoint": serve(storage),
        "region": "r",
        "bucket": "images",
        "access_key": "a",
        "secret_key": "hunter2",
        "path_style": "true",
        "root_directory": "k3s",
    }


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    logged: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", logged.append)
    return logged


@pytest.mark.parametrize("folder", ["k3s", ""])
def test_the_table_of_the_last_run_is_shown_with_its_time(
    connection: dict[str, str], messages: list[str], folder: str
) -> None:
    report_usage({**connection, "root_directory": folder})
    assert messages == ["the storage on Wed, 25 Nov 2026 12:17:01 GMT:\n\nrepository  tags\n"]


def test_before_the_first_run_there_is_nothing_to_show(
    connection: dict[str, str], messages: list[str]
) -> None:
    report_usage({**connection, "root_directory": "other"})
    assert not messages


def test_storage_that_this_machine_does_not_reach_is_no_failure(
    connection: dict[str, str], messages: list[str]
) -> None:
    report_usage({**connection, "endpoint": "http://127.0.0.1:1"})
    (message,) = messages
    assert message.startswith("the usage of the storage is not shown: ")
    assert "hunter2" not in message


@pytest.mark.parametrize("name", ODD)
def test_no_server_in_the_storages_place_is_a_failure(
    connection: dict[str, str], messages: list[str], odd_server: OddServer, name: str
) -> None:
    """All is created by then: an error would fail this update, and each one after it."""
    for report in (report_usage, report_backup):
        report({**connection, "endpoint": odd_server(lambda: [ODD[name]])})
    assert "hunter2" not in "".join(messages)


def test_only_an_update_with_a_maintenance_shows_it(run: Run) -> None:
    (reported,) = run().reported
    assert reported["bucket"] == "registry-storages"
    assert not run(preview=True).reported
    assert not run({**CONFIG, "maintenance": {"enabled": False}}).reported


def test_the_last_good_copy_is_shown_with_its_age(serve: Serve, messages: list[str]) -> None:
    record = Record(1e9, 312, 5, 12 * 2**30, "https://copies.example.com/copies", 1)

    def copied(request: Request) -> Result:
        return (200, {}, json.dumps(record._asdict())) if KEY in request.path else (404, {}, "")

    connection = {
        "endpoint": serve(copied),
        "region": "r",
        "bucket": "images",
        "access_key": "a",
        "secret_key": "hunter2",
        "path_style": "true",
        "root_directory": "",
    }
    report_backup(connection)
    (message,) = messages
    assert message.startswith("last good copy: 2001-09-09 01:46 UTC, ")
    assert message.endswith("312 tags, 12.0 GiB, in https://copies.example.com/copies")


def test_before_the_first_good_copy_it_says_so(
    connection: dict[str, str], messages: list[str]
) -> None:
    report_backup(connection)
    assert messages == ["no good copy yet"]


def test_only_an_update_with_a_backup_asks_for_its_age(run: Run) -> None:
    backup = {**CONFIG, **MODES["backup"]}
    assert [x["bucket"] for x in run(backup).asked_for_copy] == ["registry-storages"]
    assert not run(backup, preview=True).asked_for_copy
    assert not run().asked_for_copy
