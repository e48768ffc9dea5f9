"""What the doctor says of the copy of the storage."""

from __future__ import annotations

import json

from scripts.client import doctor
from scripts.client.doctor import Finding
from scripts.maintenance.backup_record import KEY, Record
from tests.unit.servers import Request, Result, Serve

COPY = Record(1_700_000_000, 3, 9, 2**20, "https://copies.example.com/copies", 2 * 86400)


def copied(serve: Serve, body: str) -> list[Finding]:
    def storage(request: Request) -> Result:
        date = {"Date": "Wed, 15 Nov 2023 22:13:20 GMT"}
        if request.path == f"/images/k3s/{KEY}" and body:
            return 200, date, body
        return 404, date, "<Error><Code>NoSuchKey</Code></Error>"

    connection = {
        "endpoint": serve(storage),
        "region": "r",
        "bucket": "images",
        "access_key": "a",
        "secret_key": "hunter2",
        "path_style": "true",
        "root_directory": "k3s",
    }
    return list(doctor.copied(connection, "images"))


def test_a_copy_that_is_young_enough_is_no_finding(serve: Serve) -> None:
    assert not copied(serve, json.dumps(COPY._asdict()))


def test_a_copy_that_is_too_old_is_a_finding_with_its_age(serve: Serve) -> None:
    """The age is by the storage's clock, which has written it."""
    (finding,) = copied(serve, json.dumps(COPY._replace(within=86399.0)._asdict()))
    assert finding.what.startswith("last good copy: 2023-11-14 22:13 UTC, 24 h ago, 3 tags")
    assert "logs" in finding.fix


def test_that_there_is_no_copy_is_a_finding_with_the_command_that_makes_one(serve: Serve) -> None:
    (finding,) = copied(serve, "")
    assert finding.what == "the storage has no good copy yet"
    command = 'kubectl --namespace images create job --from=cronjob/backup "backup-$(date +%s)"'
    assert finding.fix == command


def test_a_record_that_cannot_be_read_is_a_finding(serve: Serve) -> None:
    (finding,) = copied(serve, "{")
    assert f"{KEY} cannot be read" in finding.what
