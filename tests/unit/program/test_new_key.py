"""The hooks that run before a Space or a storage key is created."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pulumi
import pulumi_digitalocean as digitalocean
import pytest

from components import providers
from components.storage import new_key, storage
from components.storage.new_key import Hook, report_others, wait_for_key
from preflight import cloud
from scripts.shared.registry_client import RegistryError
from scripts.shared.s3 import Key, sign
from settings.credentials import CloudAccess, find_access
from tests.unit.odd_servers import ODD, OddServer
from tests.unit.program.clock import Clock
from tests.unit.program.conftest import CONFIG, Run
from tests.unit.servers import Request, Result, Serve

REFUSED: Result = 403, {}, "<Error><Code>InvalidAccessKeyId</Code></Error>"
LISTED = {"name": "registry", "created_at": "2026-11-25T00:00:00Z"}

REGION = "127.0.0.1"
"""Of Spaces whose endpoint is https://{{.Region}}."""

Create = Callable[[Hook], list[str]]


@pytest.fixture
def create(monkeypatch: pytest.MonkeyPatch) -> Create:
    """Return a function that calls a hook as the engine does, and returns what it logs."""
    lines: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lines.append)

    def inform(text: str, *, ephemeral: bool) -> None:
        assert ephemeral, "each line takes the place of the one before"
        lines.append(text)

    monkeypatch.setattr(pulumi.log, "info", inform)
    clock = Clock()
    monkeypatch.setattr(new_key, "time", clock)
    monkeypatch.setattr(asyncio, "sleep", clock.sleep_async)

    def call(hook: Hook) -> list[str]:
        async def run() -> None:
            await hook(pulumi.ResourceHookArgs("", "", "", "", new_inputs={"name": "registry"}))

        asyncio.run(run())
        assert not [line for line in lines if "hunter2" in line]
        return lines

    return call


def waiting(endpoint: str) -> Hook:
    class Value:
        def __init__(self, value: str) -> None:
            self._value = value

        async def future(self) -> str:
            return self._value

    class Spaces:
        spaces_endpoint = Value(endpoint)
        spaces_access_id = Value("DO00NEW")
        spaces_secret_key = Value("hunter2")

    return wait_for_key(cast("digitalocean.Provider", Spaces()), REGION)


def reporting(api_endpoint: str) -> Hook:
    config = {"digitalocean:apiEndpoint": api_endpoint, "digitalocean:token": "hunter2"}
    return report_others(find_access(config, {})[0])


def test_a_new_key_is_waited_for_until_no_server_refuses_it(serve: Serve, create: Create) -> None:
    statuses = iter([403, 200, 403, 200, 200, 200])
    requests: list[str] = []

    def handle(request: Request) -> Result:
        requests.append(f"{request.command} {request.path}")
        url, time = f"http://{request.headers['Host']}/", request.headers["x-amz-date"]
        signed = sign("GET", url, {}, b"", Key("DO00NEW", "hunter2"), REGION, time)
        if request.headers["Authorization"] != signed["authorization"]:
            return REFUSED
        return next(statuses), {}, ""

    lines = create(waiting(serve(handle).replace(REGION, "{{.Region}}")))
    assert requests == ["GET /"] * 6, "each of its servers learns of the key by itself"
    assert lines == [
        f"waiting until Spaces accepts the new key DO00NEW: {seconds} s, for up to 300 s"
        for seconds in (0, 2)
    ]


def test_a_key_that_is_known_at_once_is_not_waited_for(serve: Serve, create: Create) -> None:
    assert create(waiting(serve(lambda _: (200, {}, "")))) == []


def test_a_key_that_stays_unknown_fails_the_update(serve: Serve, create: Create) -> None:
    requests: list[str] = []

    def refuse(request: Request) -> Result:
        requests.append(request.path)
        return REFUSED

    endpoint = serve(refuse)
    with pytest.raises(pulumi.RunError) as failed:
        create(waiting(endpoint))
    assert len(requests) == 152, "every 2 s for 300 s, and once more"
    assert str(failed.value) == (
        f"{endpoint} does not accept the new key DO00NEW after 300 s; "
        "fix: run `pulumi up` again later"
    )


def test_an_endpoint_that_does_not_respond_is_left_to_the_provider(create: Create) -> None:
    assert create(waiting("http://127.0.0.1:9")) == []


def test_the_space_waits_for_a_key_of_the_stacks_and_not_for_the_users(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[tuple[type, str]] = []

    def wait(spaces: digitalocean.Provider, region: str) -> Hook:
        waits.append((type(spaces), region))
        return wait_for_key(spaces, region)

    monkeypatch.setattr(storage, "wait_for_key", wait)
    engine = run(token="token-of-a-space-that-waits")
    assert engine.resources["storage-bucket"].hooks.keys() == {"beforeCreate"}
    assert waits == [(digitalocean.Provider, "nyc3")]
    own = {"digitalocean:spacesAccessId": "DO00", "digitalocean:spacesSecretKey": "secret"}
    assert run({**CONFIG, **own}).resources["storage-bucket"].hooks == {}


def test_keys_of_the_same_name_are_reported_with_the_command_that_deletes_them(
    serve: Serve, create: Create
) -> None:
    def handle(request: Request) -> Result:
        url = urlsplit(request.path)
        assert url.path == "/v2/spaces/keys"
        assert parse_qs(url.query) == {"name": ["registry"], "per_page": ["200"]}
        assert request.headers["Authorization"] == "Bearer hunter2"
        names: dict[str, str] = {"DO00OLD": "registry", "DO00OTHER": "registry-2"}
        keys: list[Any] = [{**LISTED, "access_key": key, "name": names[key]} for key in names]
        return 200, {}, json.dumps({"keys": keys})

    (line,) = create(reporting(serve(handle)))
    assert line.startswith("a storage key called registry exists: DO00OLD of 2026-11-25T00:00:00Z.")
    assert line.endswith(
        "If not, an interrupted update has left it, and nothing uses it; "
        "fix: doctl spaces keys delete DO00OLD"
    )


@pytest.mark.parametrize("response", [(403, {}, ""), (200, {}, "no JSON")])
def test_keys_that_cannot_be_listed_do_not_fail_the_update_but_it_says_so(
    serve: Serve, create: Create, response: Result
) -> None:
    (line,) = create(reporting(serve(lambda _: response)))
    assert "storage keys called registry is unknown" in line


def test_a_busy_api_is_asked_for_keys_again(
    serve: Serve, create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(cloud, "time", clock)
    responses: list[Result] = [(429, {"Retry-After": "2"}, ""), (200, {}, '{"keys": []}')]
    assert create(reporting(serve(lambda _: responses.pop(0)))) == []
    assert clock.sleeps == [2]


@pytest.mark.parametrize("name", ODD)
def test_no_server_that_should_list_keys_fails_the_update(
    odd_server: OddServer, create: Create, name: str
) -> None:
    (line,) = create(reporting(odd_server(lambda: [ODD[name]])))
    assert "storage keys called registry is unknown" in line


def test_a_list_of_keys_is_not_waited_for_for_ever(
    create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(_: urllib.request.Request, seconds: float) -> None:
        raise RegistryError(f"{seconds} s have passed")

    monkeypatch.setattr(cloud, "send", hang)
    (line,) = create(reporting("http://127.0.0.1"))
    assert "respond: 10 s have passed; fix: doctl" in line


@pytest.mark.parametrize(
    ("name", "module"), [("bootstrap-key", providers), ("storage-key", storage)]
)
def test_keys_are_reported_before_each_creation_of_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, module: ModuleType
) -> None:
    tokens: list[str] = []

    def report(access: CloudAccess) -> Hook:
        tokens.append(access.token)
        return report_others(access)

    monkeypatch.setattr(module, "report_others", report)
    engine = run(token=f"token-for-{name}")
    assert engine.resources[name].hooks.keys() == {"beforeCreate"}
    assert tokens == [f"token-for-{name}"]
