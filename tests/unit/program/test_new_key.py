"""The hooks that run when a storage key has been created."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pulumi
import pytest

from components.storage import new_key
from components.storage.new_key import Hook, report_others, wait_until_known
from tests.unit.servers import Request, Result, Serve

KEY = {"name": "registry", "accessKey": "DO00NEW", "secretKey": "hunter2"}
REFUSED: Result = 403, {}, "<Error><Code>InvalidAccessKeyId</Code></Error>"
LISTED = {"name": "registry", "created_at": "2026-11-25T00:00:00Z"}

Create = Callable[[Hook], list[str]]


@pytest.fixture
def create(monkeypatch: pytest.MonkeyPatch) -> Create:
    """Return a function that calls a hook as the engine does, and returns what it logs."""
    lines: list[str] = []
    for level in ("info", "warn"):
        monkeypatch.setattr(pulumi.log, level, lambda text, **_: lines.append(text))
    monkeypatch.setattr(new_key, "POLL_SECONDS", 0)

    def call(hook: Hook) -> list[str]:
        async def run() -> None:
            outputs = {**KEY, "secretKey": pulumi.Output.secret(KEY["secretKey"])}
            await hook(pulumi.ResourceHookArgs("", "", "", "", new_outputs=outputs))

        asyncio.run(run())
        assert not [line for line in lines if "hunter2" in line]
        return lines

    return call


def test_a_new_key_is_waited_for_until_no_server_refuses_it(serve: Serve, create: Create) -> None:
    statuses = iter([403, 200, 403, 200, 200, 200])
    requests: list[str] = []

    def handle(request: Request) -> Result:
        requests.append(f"{request.command} {request.path}")
        assert "Credential=DO00NEW/" in request.headers["Authorization"]
        return next(statuses), {}, ""

    lines = create(wait_until_known(serve(handle), "nyc3"))
    assert requests == ["GET /"] * 6, "each Space's servers learn of the key by themselves"
    assert [line[:51] for line in lines] == [
        "waiting until Spaces accepts the new key DO00NEW: 0"
    ] * 2


def test_a_key_that_is_known_at_once_is_not_waited_for(serve: Serve, create: Create) -> None:
    assert create(wait_until_known(serve(lambda _: (200, {}, "")), "nyc3")) == []


def test_a_key_that_stays_unknown_fails_the_update(
    serve: Serve, create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_key, "NEW_SECONDS", 0)
    with pytest.raises(pulumi.RunError, match="does not accept the new key DO00NEW"):
        create(wait_until_known(serve(lambda _: REFUSED), "nyc3"))


def test_an_endpoint_that_does_not_respond_is_left_to_the_provider(create: Create) -> None:
    assert create(wait_until_known("http://127.0.0.1:9", "nyc3")) == []


def test_keys_of_the_same_name_are_reported_with_the_command_that_deletes_them(
    serve: Serve, create: Create
) -> None:
    def handle(request: Request) -> Result:
        url = urlsplit(request.path)
        assert url.path == "/v2/spaces/keys"
        assert parse_qs(url.query)["name"] == ["registry"]
        assert request.headers["Authorization"] == "Bearer token"
        keys = [
            {**LISTED, "access_key": "DO00NEW"},
            {**LISTED, "access_key": "DO00OLD"},
            {**LISTED, "access_key": "DO00OTHER", "name": "registry-2"},
        ]
        return 200, {}, json.dumps({"keys": keys})

    (line,) = create(report_others(serve(handle), "token"))
    assert "called registry: DO00OLD of 2026-11-25T00:00:00Z" in line
    assert line.endswith("fix: doctl spaces keys delete DO00OLD")


@pytest.mark.parametrize("response", [(403, {}, ""), (200, {}, "no JSON")])
def test_keys_that_cannot_be_listed_are_no_reason_to_fail_but_are_told(
    serve: Serve, create: Create, response: Result
) -> None:
    (line,) = create(report_others(serve(lambda _: response), "token"))
    assert "storage keys called registry is unknown" in line
    assert "token" not in line
