"""Requests to the cluster's API server, as a service account."""

from __future__ import annotations

import json
import ssl
import time
import urllib.request
from pathlib import Path
from typing import Any

from scripts.shared.registry_client import RegistryError, send

URL = "https://kubernetes.default.svc"

TIMEOUT_SECONDS = 300
"""How long to wait for a response: a node that is being configured may restart it."""

RETRY_SECONDS = 2

RESPONSE_SECONDS = 10
"""How long one response may take."""


class ApiServerError(Exception):
    """The API server refused a request, or did not respond; says why."""


class ApiServer:
    """The API server, by the files token and ca.crt of a service account in a folder.

    Args:
        credentials: The folder.
        patience: How many seconds one that does not respond is waited for.
    """

    def __init__(self, credentials: Path, patience: float | None = None) -> None:
        self.patience = TIMEOUT_SECONDS if patience is None else patience
        self.token = credentials / "token"
        self.ssl_context = ssl.create_default_context(cafile=credentials / "ca.crt")

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Return the response to one request; None if the object is another one, or there is none.

        An API server that does not respond is waited for.

        Args:
            method: The request's method; PATCH merges.
            path: The path of an object, or of a list to create one in.

        Raises:
            ApiServerError: It refuses, or does not respond for too long.
        """
        url = f"{URL}{path}"
        data = None if body is None else json.dumps(body).encode()
        kind = "merge-patch+json" if method == "PATCH" else "json"
        deadline = time.monotonic() + self.patience
        while True:
            # Read each time, as the kubelet renews it.
            headers = {
                "Authorization": f"Bearer {self.token.read_text()}",
                "Content-Type": f"application/{kind}",
            }
            request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - the API server's
            try:
                response = send(request, self.ssl_context, RESPONSE_SECONDS)
                if response.status < 300:
                    return json.loads(response.body)
                # Of a patch, 422 says that the UID in it is another one's.
                if response.status in {404, 409} or (response.status == 422 and method == "PATCH"):
                    return None
                problem = f"{response.status} {response.excerpt()}"
            except (RegistryError, ValueError) as error:
                # The latter: half a response of a server that just ended.
                problem = str(error)
            if time.monotonic() > deadline:
                raise ApiServerError(f"{method} {url}: {problem}")
            time.sleep(RETRY_SECONDS)
