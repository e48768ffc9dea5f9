"""SpacesKey of the digitalocean stand-in: a key of DigitalOcean's API for Spaces.

The calls are those of upstream's client:
https://docs.digitalocean.com/reference/api/reference/spaces-keys/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from typing_extensions import override

from sandbox.engine.plugins.digitalocean_api import call
from sandbox.engine.plugins.resource import ProviderError, Resource
from sandbox.engine.plugins.wire import Properties


class SpacesKey(Resource):
    """A storage key; its ID is the access key."""

    inputs: ClassVar[Mapping[str, object]] = {"name": None, "grants": None}
    outputs = frozenset({"accessKey", "secretKey", "createdAt"})
    secret_outputs = frozenset({"secretKey"})
    autonamed = True

    @override
    def check(self, inputs: Properties) -> Iterable[tuple[str, str]]:
        for grant in inputs.get("grants", ()):
            if not {"bucket", "permission"} <= grant.keys():
                yield "grants", "expected each grant to have a bucket and a permission"

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        key = self._call("POST", body=inputs)
        return key["access_key"], _state(key, key["secret_key"])

    @override
    def read(
        self, identifier: str, state: Properties, inputs: Properties
    ) -> tuple[Properties, Properties] | None:
        if "secretKey" not in state:
            raise ProviderError("a Spaces key cannot be imported: its secret is shown only once")
        key = self._call("GET", identifier)
        if not key:
            return None
        live = {"name": key["name"], "grants": key["grants"]}
        # An empty list of grants means the same as an absent one.
        inputs = inputs | {name: value for name, value in live.items() if name in inputs or value}
        return _state(key, state["secretKey"]), inputs

    @override
    def update(self, identifier: str, state: Properties, inputs: Properties) -> Properties:
        return _state(self._call("PUT", identifier, inputs), state["secretKey"])

    @override
    def delete(self, identifier: str, state: Properties) -> None:
        self._call("DELETE", identifier)

    def _call(
        self, method: str, access_key: str = "", body: Properties | None = None
    ) -> dict[str, Any]:
        """Return the key; empty after a deletion, or if there is no such key."""
        path = f"v2/spaces/keys/{quote(access_key)}".rstrip("/")
        sent = body and {"name": body["name"], "grants": body.get("grants", [])}
        key: dict[str, Any] = call(self.config, method, path, sent).get("key", {})
        return key


def _state(key: dict[str, Any], secret: str) -> Properties:
    """Return a key's state, with the SDK's names.

    Args:
        key: The key in the API's response.
        secret: Its secret, which only the response to its creation contains.
    """
    return {
        "name": key["name"],
        "grants": key["grants"],
        "accessKey": key["access_key"],
        "secretKey": secret,
        "createdAt": key["created_at"],
    }
