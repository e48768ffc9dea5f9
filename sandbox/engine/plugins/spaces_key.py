"""SpacesKey of the digitalocean stand-in: a key of DigitalOcean's API for Spaces.

The calls are those of upstream's client:
https://docs.digitalocean.com/reference/api/reference/spaces-keys/
"""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import quote, urljoin, urlsplit

from typing_extensions import override

from sandbox.engine.plugins.resource import ProviderError, Resource
from sandbox.engine.plugins.wire import Properties

_TIMEOUT = 60
"""Seconds until a server that does not respond counts as broken."""


class _OverloadedError(Exception):
    """A failure that a retry may not have.

    Args:
        message: The server's response, or why there is none.
        wait: Seconds until the retry, if the server says so.
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


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
        """Call the API, with retries while it is overloaded or broken, as upstream's client does.

        Returns:
            The key; empty after a deletion, or if there is no such key.
        """
        retries = int(self.config["httpRetryMax"])
        shortest = float(self.config["httpRetryWaitMin"])
        longest = float(self.config["httpRetryWaitMax"])
        for attempt in range(retries + 1):
            try:
                return self._attempt(method, access_key, body)
            except _OverloadedError as error:
                if attempt == retries:
                    raise ProviderError(f"{error} (gave up after {retries + 1} attempts)") from None
                wait = min(longest, shortest * 2**attempt) if error.wait is None else error.wait
            time.sleep(wait)
        raise ProviderError("httpRetryMax must not be negative")

    def _attempt(self, method: str, access_key: str, body: Properties | None) -> dict[str, Any]:
        if not self.config.get("token"):
            raise ProviderError("no DigitalOcean token: set digitalocean:token, a secret")
        url = urlsplit(urljoin(self.config["apiEndpoint"], "v2/spaces/keys"))
        connection = (
            http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        )
        call = f"{method} {url.scheme}://{url.netloc}{url.path}"
        try:
            with contextlib.closing(connection(url.netloc, timeout=_TIMEOUT)) as api:
                api.request(
                    method,
                    f"{url.path}/{quote(access_key)}" if access_key else url.path,
                    body=_json(body) if body else None,
                    headers={
                        "Authorization": f"Bearer {self.config['token']}",
                        "Accept": "application/json",
                        "Content-Type": "application/json",
                    },
                )
                response = api.getresponse()
                content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise _OverloadedError(f"{call}: {error or type(error).__name__}") from None
        if response.status == http.HTTPStatus.NOT_FOUND and method == "GET":
            return {}
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            message = f"{call}: {response.status} {_message(content) or response.reason}"
            if response.status != http.HTTPStatus.TOO_MANY_REQUESTS and response.status < 500:
                raise ProviderError(message)
            wait = response.headers.get("Retry-After", "")
            raise _OverloadedError(message, float(wait) if wait.isdigit() else None)
        key: dict[str, Any] = json.loads(content)["key"] if content else {}
        return key


def _json(inputs: Properties) -> str:
    return json.dumps({"name": inputs["name"], "grants": inputs.get("grants", [])})


def _message(body: bytes) -> str:
    """Return the message of an error response; empty if it is not DigitalOcean's."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, LookupError, TypeError):
        return ""


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
