"""DnsRecord of the digitalocean stand-in: a record in a domain of DigitalOcean's API.

The calls are those of upstream's client:
https://docs.digitalocean.com/reference/api/reference/domain-records/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from typing_extensions import override

from sandbox.engine.plugins.digitalocean_api import call
from sandbox.engine.plugins.resource import ProviderError, Resource
from sandbox.engine.plugins.wire import Properties

_TYPES = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "TXT")

_FIELDS = {name: name for name in ("type", "name", "priority", "port", "ttl", "weight", "flags")}
_FIELDS |= {"tag": "tag", "value": "data"}
"""The SDK's names of what the API has under its own."""


class DnsRecord(Resource):
    """A DNS record; its ID is the API's number."""

    inputs: ClassVar[Mapping[str, object]] = {
        **dict.fromkeys(("domain", "type", "name", "value", "ttl")),
        **dict.fromkeys(("flags", "port", "priority", "tag", "weight")),
    }
    required = frozenset({"domain", "type", "value"})
    outputs = frozenset({"fqdn"})
    replaces = frozenset({"domain", "type"})
    autonamed = True

    @override
    def check(self, inputs: Properties) -> Iterable[tuple[str, str]]:
        if inputs.get("type") not in _TYPES:
            yield "type", f"expected one of {', '.join(_TYPES)}"

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        record = self._call("POST", inputs["domain"], body=inputs)
        return str(record["id"]), _state(record, inputs["domain"])

    @override
    def read(
        self, identifier: str, state: Properties, inputs: Properties
    ) -> tuple[Properties, Properties] | None:
        if "domain" not in state:
            raise ProviderError("this stand-in does not import DNS records")
        record = self._call("GET", state["domain"], identifier)
        if not record:
            return None
        new = _state(record, state["domain"])
        return new, {name: new[name] for name in inputs if name in new}

    @override
    def update(self, identifier: str, state: Properties, inputs: Properties) -> Properties:
        return _state(self._call("PUT", inputs["domain"], identifier, inputs), inputs["domain"])

    @override
    def delete(self, identifier: str, state: Properties) -> None:
        self._call("DELETE", state["domain"], identifier)

    def _call(
        self, method: str, domain: str, identifier: str = "", body: Properties | None = None
    ) -> dict[str, Any]:
        """Return the record; empty after a deletion, or if there is no such record."""
        path = f"v2/domains/{quote(domain)}/records/{identifier}".rstrip("/")
        sent = body and {_FIELDS[name]: body[name] for name in _FIELDS if name in body}
        record: dict[str, Any] = call(self.config, method, path, sent).get("domain_record", {})
        return record


def _state(record: dict[str, Any], domain: str) -> Properties:
    """Return a record's state, with the SDK's names."""
    named = {name: record[field] for name, field in _FIELDS.items() if record.get(field)}
    fqdn = domain if record["name"] == "@" else f"{record['name']}.{domain}"
    return {**named, "domain": domain, "fqdn": fqdn}
