"""Domains and DNS records of the stand-in for DigitalOcean's API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox.cloud.api import Server
from sandbox.cloud.domains import Domains
from tests.unit.sandbox.cloud.test_api import send

RECORDS = "/v2/domains/example.com/records"
BODY = {"type": "A", "name": "registry", "data": "203.0.113.10"}


def test_a_record_has_all_fields_of_the_api(api: Server) -> None:
    response = send(api, "POST", RECORDS, BODY)
    assert response.status == 201
    record = response.body["domain_record"]
    expected: dict[str, Any] = dict.fromkeys(("priority", "port", "weight", "flags", "tag"))
    assert record == {"id": 1, "ttl": 1800, **BODY, **expected}
    assert send(api, "GET", f"{RECORDS}/1").body["domain_record"] == record
    listed = send(api, "GET", RECORDS).body
    assert (listed["domain_records"], listed["meta"]) == ([record], {"total": 1})


def test_a_change_leaves_what_it_does_not_name(api: Server) -> None:
    send(api, "POST", RECORDS, BODY)
    response = send(api, "PUT", f"{RECORDS}/1", {"data": "203.0.113.11"})
    assert response.body["domain_record"]["data"] == "203.0.113.11"
    assert response.body["domain_record"]["name"] == "registry"


def test_a_deleted_record_is_gone(api: Server) -> None:
    send(api, "POST", RECORDS, BODY)
    assert send(api, "DELETE", f"{RECORDS}/1").status == 204
    assert send(api, "GET", f"{RECORDS}/1").status == 404


def test_only_the_domains_of_the_account_are_known(api: Server) -> None:
    assert send(api, "GET", "/v2/domains/example.com").body["domain"]["name"] == "example.com"
    for method, path in (("GET", ""), ("GET", "/records"), ("POST", "/records")):
        assert send(api, method, f"/v2/domains/example.org{path}", BODY).status == 404


@pytest.mark.parametrize("field", BODY)
def test_a_record_without_a_needed_field_is_refused(api: Server, field: str) -> None:
    response = send(api, "POST", RECORDS, {**BODY, field: ""})
    assert (response.status, response.body["message"]) == (422, f"{field} is required")


def test_records_outlive_a_restart(domains: Domains, tmp_path: Path) -> None:
    created = domains.create("example.com", BODY)["domain_record"]
    again = Domains(tmp_path / "domains.json", ["example.com"])
    assert again.records("example.com")["domain_records"] == [created]
    assert again.create("example.com", BODY)["domain_record"]["id"] == created["id"] + 1
