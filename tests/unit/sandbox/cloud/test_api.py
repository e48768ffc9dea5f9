from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.client import BaseClient

from sandbox.cloud.api import Server
from sandbox.cloud.delays import Delays
from sandbox.cloud.keys import LIMIT, Keys
from tests.unit.sandbox.conftest import TOKEN
from tests.unit.sandbox.fakes import FakeIam

SCOPED = [{"bucket": "images", "permission": "readwrite"}]
FULL = [{"bucket": "", "permission": "fullaccess"}]


@dataclass
class Response:
    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]


def send(
    api: Server,
    method: str,
    path: str = "/v2/spaces/keys",
    body: object = None,
    token: str = TOKEN,
) -> Response:
    with closing(http.client.HTTPConnection(*cast("tuple[str, int]", api.server_address))) as call:
        sent = body if isinstance(body, str) or body is None else json.dumps(body)
        call.request(method, path, sent, {"Authorization": f"Bearer {token}"})
        response = call.getresponse()
        content = response.read()
        headers = dict(response.getheaders())
        return Response(response.status, headers, json.loads(content) if content else {})


def create(api: Server, name: str = "registry", grants: object = SCOPED) -> str:
    key: str = send(api, "POST", body={"name": name, "grants": grants}).body["key"]["access_key"]
    return key


def test_a_key_is_created_with_its_secret(api: Server) -> None:
    response = send(api, "POST", body={"name": "registry", "grants": SCOPED})
    assert response.status == 201
    key = response.body["key"]
    assert key.keys() == {"name", "access_key", "secret_key", "grants", "created_at"}
    assert (key["name"], key["grants"]) == ("registry", SCOPED)


def test_the_secret_is_told_only_once(api: Server, tmp_path: Path) -> None:
    key = send(api, "POST", body={"name": "registry", "grants": SCOPED}).body["key"]
    secret = key.pop("secret_key")
    response = send(api, "GET", f"/v2/spaces/keys/{key['access_key']}")
    assert (response.status, response.body) == (200, {"key": key})
    assert secret not in (tmp_path / "keys.json").read_text(), "the IAM server alone keeps secrets"


def test_grants_keep_their_order(api: Server) -> None:
    grants = [{"bucket": name, "permission": "read"} for name in ("b", "c", "a")]
    key = send(api, "GET", f"/v2/spaces/keys/{create(api, grants=grants)}").body["key"]
    assert key["grants"] == grants, "another order shows as a change in each preview"


def test_a_key_is_updated_in_place(api: Server, iam: FakeIam) -> None:
    access_key = create(api)
    grants = [{"bucket": "other", "permission": "read"}]
    response = send(api, "PUT", f"/v2/spaces/keys/{access_key}", {"name": "new", "grants": grants})
    assert response.status == 200
    assert (response.body["key"]["name"], response.body["key"]["grants"]) == ("new", grants)
    assert "secret_key" not in response.body["key"]
    assert iam.policy_of(access_key)[0]["Resource"] == [
        "arn:aws:s3:::other",
        "arn:aws:s3:::other/*",
    ], "the Spaces must enforce the new grants"


def test_a_deleted_key_is_gone_from_the_spaces_too(api: Server, iam: FakeIam) -> None:
    access_key = create(api)
    response = send(api, "DELETE", f"/v2/spaces/keys/{access_key}")
    assert (response.status, response.body) == (204, {})
    assert not iam.access_keys, "the Spaces would go on to accept it"
    assert not iam.policies
    assert send(api, "GET", f"/v2/spaces/keys/{access_key}").status == 404
    assert send(api, "DELETE", f"/v2/spaces/keys/{access_key}").status == 404


def test_an_error_has_the_fields_of_digitalocean(api: Server) -> None:
    response = send(api, "GET", "/v2/spaces/keys/AKIA0")
    assert response.body.keys() == {"id", "message", "request_id"}
    assert response.body["id"] == "not_found"


@pytest.mark.parametrize("path", ["/v2/spaces/keys", "/v2/elsewhere"])
def test_a_wrong_token_learns_nothing(api: Server, path: str) -> None:
    response = send(api, "GET", path, token="dop_v1_wrong")
    assert (response.status, response.body["id"]) == (401, "unauthorized")


def test_another_address_is_not_found(api: Server) -> None:
    assert send(api, "GET", "/v2/volumes").status == 404


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "invalid JSON"),
        ([], "name is required"),
        ({"grants": SCOPED}, "name is required"),
        ({"name": "n", "grants": [{"bucket": "b", "permission": "write"}]}, "invalid permission"),
        ({"name": "n", "grants": SCOPED + FULL}, "cannot mix fullaccess"),
        ({"name": "n", "grants": [{"permission": "read"}]}, "bucket is required"),
    ],
)
def test_a_bad_request_is_refused_with_the_reason(api: Server, body: object, message: str) -> None:
    response = send(api, "POST", body=body)
    assert (response.status, response.body["id"]) == (400, "bad_request")
    assert message in response.body["message"]


def test_a_malformed_identifier_is_a_bad_request(api: Server) -> None:
    response = send(api, "GET", "/v2/spaces/keys/not-a-key")
    assert (response.status, response.body["message"]) == (400, "invalid access key id")


@pytest.mark.parametrize(("before", "after"), [(SCOPED, FULL), (FULL, SCOPED)])
def test_full_access_and_scope_do_not_convert(api: Server, before: object, after: object) -> None:
    access_key = create(api, grants=before)
    response = send(api, "PUT", f"/v2/spaces/keys/{access_key}", {"name": "n", "grants": after})
    assert response.status == 400, "a program that does not replace such a key must fail here too"


def test_an_account_has_a_limit_of_keys(keys: Keys) -> None:
    for number in range(LIMIT):
        keys.create({"name": f"key {number}"})
    with pytest.raises(Exception, match="key limit reached"):
        keys.create({"name": "one more"})


def test_a_list_comes_in_pages(api: Server) -> None:
    for number in range(25):
        create(api, name=f"key {number}")
    first = send(api, "GET").body
    assert (len(first["keys"]), first["meta"]) == (20, {"total": 25})
    last = send(api, "GET", "/v2/spaces/keys?page=3&per_page=10").body
    assert [key["name"] for key in last["keys"]] == [f"key {number}" for number in range(20, 25)]
    assert "secret_key" not in last["keys"][0]


def test_a_page_that_is_no_number_is_a_bad_request(api: Server) -> None:
    assert send(api, "GET", "/v2/spaces/keys?page=one").status == 400


def test_a_list_is_narrowed(api: Server) -> None:
    create(api, name="boot", grants=FULL)
    create(api, name="registry")
    for query in ("name=registry", "bucket=images", "permission=readwrite"):
        result = send(api, "GET", f"/v2/spaces/keys?{query}").body
        assert [key["name"] for key in result["keys"]] == ["registry"], query
        assert result["meta"] == {"total": 1}, query


def test_a_scoped_key_opens_its_space_alone(api: Server, iam: FakeIam) -> None:
    (statement,) = iam.policy_of(create(api))
    assert statement["Effect"] == "Allow"
    assert statement["Resource"] == ["arn:aws:s3:::images", "arn:aws:s3:::images/*"]
    assert "s3:CreateBucket" not in statement["Action"]
    assert "s3:PutObject" in statement["Action"]


def test_a_read_key_does_not_write(api: Server, iam: FakeIam) -> None:
    (statement,) = iam.policy_of(create(api, grants=[{"bucket": "b", "permission": "read"}]))
    assert not [action for action in statement["Action"] if "Put" in action or "Delete" in action]


def test_a_key_without_grants_opens_nothing(api: Server, iam: FakeIam) -> None:
    assert [result["Effect"] for result in iam.policy_of(create(api, grants=[]))] == ["Deny"]


def test_the_name_of_a_deleted_space_is_blocked(
    api: Server, keys: Keys, iam: FakeIam, spaces: Path
) -> None:
    access_key = create(api, grants=FULL)
    (spaces / "images").mkdir()
    keys.block_deleted()
    (spaces / "images").rmdir()
    keys.block_deleted()
    deny = iam.policy_of(access_key)[1]
    assert (deny["Effect"], deny["Action"]) == ("Deny", "s3:CreateBucket")
    assert deny["Resource"] == ["arn:aws:s3:::images"]
    later = create(api, grants=FULL)
    assert len(iam.policy_of(later)) == 2, "a new key must not get around the block"


def test_blocked_names_fit_into_a_policy(
    api: Server, keys: Keys, iam: FakeIam, spaces: Path
) -> None:
    access_key = create(api, grants=FULL)
    names = [f"{number:063}" for number in range(50)]
    for name in names:
        (spaces / name).mkdir()
        keys.block_deleted()
        (spaces / name).rmdir()
        keys.block_deleted()
    blocked = iam.policy_of(access_key)[1]["Resource"]
    assert f"arn:aws:s3:::{names[-1]}" in blocked, "the latest are what a destroy and up meets"
    assert f"arn:aws:s3:::{names[0]}" not in blocked


def test_blocking_can_be_switched_off(api: Server, keys: Keys, iam: FakeIam, spaces: Path) -> None:
    access_key = create(api, grants=FULL)
    (spaces / "images").mkdir()
    keys.block_deleted()
    (spaces / "images").rmdir()
    keys.block_deleted()
    response = send(api, "POST", "/_control", {"block": False})
    assert (response.body["block"], response.body["blocked"]) == (False, ["images"])
    assert len(iam.policy_of(access_key)) == 1


def test_a_restart_keeps_keys_and_blocked_names(
    api: Server, keys: Keys, iam: FakeIam, delays: Delays, spaces: Path, tmp_path: Path
) -> None:
    access_key = create(api)
    (spaces / "images").mkdir()
    keys.block_deleted()
    (spaces / "images").rmdir()
    again = Keys(tmp_path / "keys.json", cast("BaseClient", iam), delays)
    again.block_deleted()
    assert again.read(access_key) == keys.read(access_key)
    assert again.blocked == ["images"], "a Space that went away meanwhile counts as well"


def test_faults_come_in_order_and_end(api: Server) -> None:
    faults = [{"status": 429, "times": 2, "retry_after": 1}, {"status": 500}]
    send(api, "POST", "/_control", {"faults": faults})
    responses = [send(api, "GET") for _ in range(4)]
    assert [response.status for response in responses] == [429, 429, 500, 200]
    assert responses[0].headers["Retry-After"] == "1"
    assert responses[0].body["id"] == "too_many_requests"


def test_a_fault_can_be_a_delay(api: Server) -> None:
    send(api, "POST", "/_control", {"faults": [{"delay": 0.1}]})
    started = time.monotonic()
    assert send(api, "GET").status == 200
    assert time.monotonic() - started >= 0.1


def test_what_is_set_can_be_read(api: Server) -> None:
    send(api, "POST", "/_control", {"faults": [{"status": 503}]})
    assert send(api, "GET", "/_control").body["faults"] == [{"status": 503}]
    assert send(api, "POST", "/_control", {"faults": []}).body["faults"] == []


def test_a_broken_iam_server_is_a_server_error(
    api: Server, iam: FakeIam, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "handle_error", lambda *_: None)
    monkeypatch.setattr(iam, "create_user", lambda **_: 1 / 0)
    response = send(api, "POST", body={"name": "n"})
    assert (response.status, response.body["id"]) == (500, "server_error")
