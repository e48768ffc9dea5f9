"""SpacesKey over HTTP, against the sandbox's own stand-in for the API."""

from __future__ import annotations

import socket

import pytest
from pulumi.runtime.proto import provider_pb2

from sandbox.cloud.api import Server
from sandbox.cloud.errors import ApiError
from sandbox.cloud.keys import Keys
from sandbox.engine.plugins.digitalocean_plugin import configure
from sandbox.engine.plugins.resource_plugin import Plugin
from sandbox.engine.plugins.spaces_key import SpacesKey
from sandbox.engine.plugins.wire import UNKNOWN, Properties, decode, encode
from tests.unit.sandbox.conftest import TOKEN
from tests.unit.sandbox.fakes import AbortedError, FakeIam, call

TYPE = SpacesKey.token("digitalocean")
GRANTS = [{"bucket": "images", "permission": "readwrite"}]


def plugin_for(address: tuple[object, ...], **config: object) -> Plugin:
    plugin = Plugin("digitalocean", [SpacesKey], configure)
    settings = {
        "token": TOKEN,
        "apiEndpoint": f"http://{address[0]}:{address[1]}/",
        "httpRetryMax": "2",
        "httpRetryWaitMin": "0.001",
    }
    call(plugin.Configure, provider_pb2.ConfigureRequest(args=encode(settings | config)))
    return plugin


@pytest.fixture
def plugin(api: Server) -> Plugin:
    return plugin_for(api.server_address)


def create(plugin: Plugin, **inputs: object) -> tuple[str, Properties]:
    request = provider_pb2.CreateRequest(type=TYPE, properties=encode({"name": "n", **inputs}))
    response = call(plugin.Create, request)
    return response.id, decode(response.properties)


def read(plugin: Plugin, identifier: str, state: Properties, inputs: Properties) -> Properties:
    request = provider_pb2.ReadRequest(
        type=TYPE, id=identifier, properties=encode(state), inputs=encode(inputs)
    )
    response = call(plugin.Read, request)
    return {
        "id": response.id,
        "state": decode(response.properties),
        "inputs": decode(response.inputs),
    }


def test_a_key_is_known_by_its_access_key(plugin: Plugin, keys: Keys) -> None:
    identifier, state = create(plugin, grants=GRANTS)
    assert state["accessKey"] == identifier
    assert state["secretKey"] == "secret-1"
    assert state["grants"] == GRANTS
    assert keys.read(identifier)["key"]["created_at"] == state["createdAt"]


def test_a_refresh_keeps_the_secret_and_finds_nothing(plugin: Plugin) -> None:
    identifier, state = create(plugin, grants=GRANTS)
    inputs = {"name": "n", "grants": GRANTS}
    assert read(plugin, identifier, state, inputs) == {
        "id": identifier,
        "state": state,
        "inputs": inputs,
    }, "the API never tells the secret again"


def test_a_key_without_grants_does_not_drift(plugin: Plugin) -> None:
    identifier, state = create(plugin)
    assert read(plugin, identifier, state, {"name": "n"})["inputs"] == {"name": "n"}


def test_grants_changed_by_hand_show_in_the_inputs(plugin: Plugin, keys: Keys) -> None:
    identifier, state = create(plugin, grants=GRANTS)
    other = [{"bucket": "images", "permission": "read"}]
    keys.update(identifier, {"name": "n", "grants": other})
    result = read(plugin, identifier, state, {"name": "n", "grants": GRANTS})
    assert result["inputs"]["grants"] == other, "the next up must put them right"


def test_a_key_deleted_by_hand_is_gone(plugin: Plugin, keys: Keys) -> None:
    identifier, state = create(plugin, grants=GRANTS)
    keys.delete(identifier)
    assert read(plugin, identifier, state, {"name": "n"})["id"] == ""


def test_a_key_cannot_be_imported(plugin: Plugin) -> None:
    identifier, _ = create(plugin)
    with pytest.raises(AbortedError, match="cannot be imported"):
        read(plugin, identifier, {}, {})


def test_an_update_keeps_key_and_secret(plugin: Plugin, keys: Keys) -> None:
    identifier, state = create(plugin, grants=GRANTS)
    request = provider_pb2.UpdateRequest(
        type=TYPE, id=identifier, olds=encode(state), news=encode({"name": "new", "grants": GRANTS})
    )
    new = decode(call(plugin.Update, request).properties)
    assert new == state | {"name": "new"}
    assert keys.read(identifier)["key"]["name"] == "new"


def test_a_deletion_deletes(plugin: Plugin, keys: Keys) -> None:
    identifier, state = create(plugin)
    request = provider_pb2.DeleteRequest(type=TYPE, id=identifier, properties=encode(state))
    call(plugin.Delete, request)
    with pytest.raises(ApiError, match="could not be found"):
        keys.read(identifier)
    with pytest.raises(AbortedError, match="404 The resource"):
        call(plugin.Delete, request)


def test_a_refusal_is_told_in_the_words_of_the_api(plugin: Plugin) -> None:
    mixed = [*GRANTS, {"bucket": "", "permission": "fullaccess"}]
    with pytest.raises(AbortedError, match=r"POST .*/v2/spaces/keys: 400 cannot mix fullaccess"):
        create(plugin, grants=mixed)


def test_an_overloaded_api_is_asked_again(api: Server, plugin: Plugin, iam: FakeIam) -> None:
    api.control({"faults": [{"status": 429, "retry_after": 0}, {"status": 500}]})
    create(plugin)
    assert len(iam.access_keys) == 1, "a second key would stay for ever"


def test_an_api_that_stays_broken_is_given_up(api: Server, plugin: Plugin) -> None:
    api.control({"faults": [{"status": 503, "times": 9}]})
    with pytest.raises(AbortedError, match=r"503 injected \(gave up after 3 attempts\)"):
        create(plugin)


def test_an_api_out_of_reach_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = closed.getsockname()
    with pytest.raises(AbortedError, match=f"POST http://127.0.0.1:{address[1]}.*refused"):
        create(plugin_for(address))


def test_a_wrong_token_is_refused_and_not_shown(api: Server) -> None:
    with pytest.raises(AbortedError, match="401 Unable to authenticate you") as caught:
        create(plugin_for(api.server_address, token="dop_v1_wrong"))
    assert "dop_v1_wrong" not in str(caught.value)


def test_a_missing_token_is_told(api: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIGITALOCEAN_TOKEN", raising=False)
    monkeypatch.delenv("DIGITALOCEAN_ACCESS_TOKEN", raising=False)
    with pytest.raises(AbortedError, match="digitalocean:token"):
        create(plugin_for(api.server_address, token=""))


def test_a_grant_needs_a_bucket_and_a_permission(plugin: Plugin) -> None:
    request = provider_pb2.CheckRequest(
        type=TYPE, news=encode({"name": "n", "grants": [{"permission": "read"}]})
    )
    (failure,) = call(plugin.Check, request).failures
    assert failure.property == "grants"


def test_grants_may_be_unknown_in_a_preview(plugin: Plugin) -> None:
    grants = [{"bucket": UNKNOWN, "permission": "readwrite"}]
    news = encode({"name": "n", "grants": grants})
    assert not call(plugin.Check, provider_pb2.CheckRequest(type=TYPE, news=news)).failures
    request = provider_pb2.CreateRequest(type=TYPE, preview=True, properties=news)
    assert decode(call(plugin.Create, request).properties)["grants"] == grants


def test_arguments_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "first")
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "second")
    monkeypatch.setenv("SPACES_ACCESS_KEY_ID", "")
    monkeypatch.delenv("DIGITALOCEAN_API_URL", raising=False)
    assert configure({"token": "argument"})["token"] == "argument"
    result = configure({"token": ""})
    assert result["token"] == "first", "upstream's order"
    assert "spacesAccessId" not in result, "an empty variable is an absent one"
    assert result["apiEndpoint"] == "https://api.digitalocean.com"
