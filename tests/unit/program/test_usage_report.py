"""What `up` shows of the storage's usage."""

from __future__ import annotations

import pulumi
import pytest

from components.maintenance import report_usage
from scripts.maintenance.usage_history import TABLE_KEY
from tests.unit.odd_servers import ODD, OddServer
from tests.unit.program.conftest import CONFIG, Run
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
    report_usage({**connection, "endpoint": odd_server(lambda: [ODD[name]])})
    assert "hunter2" not in "".join(messages)


def test_only_an_update_with_a_maintenance_shows_it(run: Run) -> None:
    (reported,) = run().reported
    assert reported["bucket"] == "registry-storages"
    assert not run(preview=True).reported
    assert not run({**CONFIG, "maintenance": {"enabled": False}}).reported
