"""DnsRecord over HTTP, against the sandbox's own stand-in for the API."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from sandbox.cloud.api import Server
from sandbox.cloud.domains import Domains
from sandbox.engine.plugins.digitalocean_plugin import PLUGIN, configure
from sandbox.engine.plugins.dns_record import DnsRecord
from sandbox.engine.plugins.resource_plugin import Plugin
from sandbox.engine.plugins.wire import Properties, decode, encode
from tests.unit.sandbox.conftest import TOKEN
from tests.unit.sandbox.fakes import AbortedError, call

TYPE = DnsRecord.token("digitalocean")
INPUTS = {
    "domain": "example.com",
    "type": "A",
    "name": "registry",
    "value": "203.0.113.10",
    "ttl": 300,
}


@pytest.fixture
def plugin(api: Server) -> Plugin:
    host, port = api.server_address[:2]
    plugin = Plugin(PLUGIN.package, list(PLUGIN.kinds.values()), configure)
    settings = {"token": TOKEN, "apiEndpoint": f"http://{host!s}:{port}/"}
    call(plugin.Configure, provider_pb2.ConfigureRequest(args=encode(settings)))
    return plugin


def create(plugin: Plugin, inputs: Properties = INPUTS) -> tuple[str, Properties]:
    request = provider_pb2.CreateRequest(type=TYPE, properties=encode(inputs))
    response = call(plugin.Create, request)
    return response.id, decode(response.properties)


def read(plugin: Plugin, identifier: str, state: Properties) -> Any:
    request = provider_pb2.ReadRequest(
        type=TYPE, id=identifier, properties=encode(state), inputs=encode(INPUTS)
    )
    return call(plugin.Read, request)


def records(domains: Domains) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = domains.records("example.com")["domain_records"]
    return records


def test_a_record_is_created_as_it_was_asked_for(plugin: Plugin, domains: Domains) -> None:
    identifier, state = create(plugin)
    assert state == {**INPUTS, "fqdn": "registry.example.com"}
    (record,) = records(domains)
    assert (str(record["id"]), record["data"], record["ttl"]) == (identifier, "203.0.113.10", 300)


def test_the_domain_itself_has_a_sign(plugin: Plugin) -> None:
    assert create(plugin, INPUTS | {"name": "@"})[1]["fqdn"] == "example.com"


def test_a_record_is_changed_in_place(plugin: Plugin, domains: Domains) -> None:
    identifier, state = create(plugin)
    request = provider_pb2.UpdateRequest(
        type=TYPE,
        id=identifier,
        olds=encode(state),
        news=encode(INPUTS | {"value": "203.0.113.11"}),
    )
    assert decode(call(plugin.Update, request).properties)["value"] == "203.0.113.11"
    assert [record["data"] for record in records(domains)] == ["203.0.113.11"]


def test_a_record_changed_by_hand_shows_in_the_inputs(plugin: Plugin, domains: Domains) -> None:
    identifier, state = create(plugin)
    assert decode(read(plugin, identifier, state).inputs) == INPUTS
    domains.update("example.com", identifier, {"data": "198.51.100.1"})
    assert decode(read(plugin, identifier, state).inputs)["value"] == "198.51.100.1"


def test_a_record_deleted_by_hand_is_gone(plugin: Plugin, domains: Domains) -> None:
    identifier, state = create(plugin)
    domains.delete("example.com", identifier)
    assert not read(plugin, identifier, state).id


def test_a_deleted_record_is_gone(plugin: Plugin, domains: Domains) -> None:
    identifier, state = create(plugin)
    request = provider_pb2.DeleteRequest(type=TYPE, id=identifier, properties=encode(state))
    call(plugin.Delete, request)
    assert not records(domains)


def test_a_domain_of_somebody_else_gets_no_record(plugin: Plugin) -> None:
    with pytest.raises(AbortedError, match=r"domains/example\.org/records: 404 The resource"):
        create(plugin, INPUTS | {"domain": "example.org"})


def test_a_type_that_does_not_exist_is_refused() -> None:
    assert [key for key, _ in DnsRecord({}).check(INPUTS | {"type": "B"})] == ["type"]
    assert not list(DnsRecord({}).check(INPUTS))
