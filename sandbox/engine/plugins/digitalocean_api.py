"""A client of DigitalOcean's API, as the digitalocean stand-in's types use it.

It retries as upstream's client does: https://github.com/digitalocean/godo/blob/main/godo.go
"""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from sandbox.engine.plugins.resource import ProviderError
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


def call(
    config: Mapping[str, str], method: str, path: str, body: Properties | None = None
) -> dict[str, Any]:
    """Call the API, with retries while it is overloaded or broken.

    Args:
        config: The provider's configuration.
        method: The request's method.
        path: The path below the API's endpoint.
        body: What to send as JSON.

    Returns:
        The response; empty after a deletion, or if there is nothing at the path.
    """
    retries = int(config["httpRetryMax"])
    shortest = float(config["httpRetryWaitMin"])
    longest = float(config["httpRetryWaitMax"])
    for attempt in range(retries + 1):
        try:
            return _attempt(config, method, path, body)
        except _OverloadedError as error:
            if attempt == retries:
                raise ProviderError(f"{error} (gave up after {retries + 1} attempts)") from None
            wait = min(longest, shortest * 2**attempt) if error.wait is None else error.wait
        time.sleep(wait)
    raise ProviderError("httpRetryMax must not be negative")


def _attempt(
    config: Mapping[str, str], method: str, path: str, body: Properties | None
) -> dict[str, Any]:
    if not config.get("token"):
        raise ProviderError("no DigitalOcean token: set digitalocean:token, a secret")
    url = urlsplit(urljoin(config["apiEndpoint"], path))
    connection = (
        http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    )
    request_line = f"{method} {url.scheme}://{url.netloc}{url.path}"
    try:
        with contextlib.closing(connection(url.netloc, timeout=_TIMEOUT)) as api:
            api.request(
                method,
                url.path,
                body=None if body is None else json.dumps(body),
                headers={
                    "Authorization": f"Bearer {config['token']}",
                    "Accept": "application/json",
                    "Content-Type": "application/json",
                },
            )
            response = api.getresponse()
            content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise _OverloadedError(f"{request_line}: {error or type(error).__name__}") from None
    if response.status == http.HTTPStatus.NOT_FOUND and method == "GET":
        return {}
    if response.status >= http.HTTPStatus.BAD_REQUEST:
        message = f"{request_line}: {response.status} {_message(content) or response.reason}"
        if response.status != http.HTTPStatus.TOO_MANY_REQUESTS and response.status < 500:
            raise ProviderError(message)
        wait = response.headers.get("Retry-After", "")
        raise _OverloadedError(message, float(wait) if wait.isdigit() else None)
    parsed: dict[str, Any] = json.loads(content) if content else {}
    return parsed


def _message(body: bytes) -> str:
    """Return the message of an error response; empty if it is not DigitalOcean's."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, LookupError, TypeError):
        return ""
