"""A client of the node's API server, with nothing but the standard library."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Self, cast

PORT = 6443
"""Of the API server; the same as k3s'."""

_WATCH_FOR = 300
"""Seconds that a watch lasts."""

_RETRY = 1.0
"""Seconds after a watch that failed."""


@dataclass(frozen=True)
class KubeApi:
    """One user's connection to the API server.

    Attributes:
        server: ``https://<address>:6443``.
        token: The user's bearer token.
        ssl_context: Trusts the certificate authority of the server.
    """

    server: str
    token: str
    ssl_context: ssl.SSLContext

    @classmethod
    def of(cls, kubeconfig: Path) -> Self:
        """Read a kubeconfig as :func:`kubeconfig` makes it.

        Raises:
            OSError: There is none.
        """
        config = json.loads(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
        return cls(
            cluster["server"],
            config["users"][0]["user"]["token"],
            ssl.create_default_context(cadata=ca),
        )

    def get(self, path: str) -> Any:  # noqa: ANN401 (an API object; its shape is Kubernetes')
        """Return what is at a path, such as ``/api/v1/pods``.

        Raises:
            OSError: No connection, or another status than 200 (``urllib.error.HTTPError``).
        """
        return json.loads(self._read(path, timeout=5))

    def ready(self) -> bool:
        """Say whether the API server reports that it is ready."""
        try:
            return self._read("/readyz", timeout=2) == b"ok"
        except OSError:
            return False

    def patch(self, path: str, body: object) -> None:
        """Merge something into the object at a path.

        https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/

        Args:
            path: The object's.
            body: What to merge; elements of lists are matched by their key, such as ``name``.

        Raises:
            OSError: No connection, or another status than 200.
        """
        self._read(path, timeout=5, body=json.dumps(body).encode())

    def follow(self, paths: Iterable[str]) -> threading.Event:
        """Return an event that is set once for what exists, and then again at each change.

        Args:
            paths: Lists, such as ``/api/v1/pods``; watched for as long as the process lives.
        """
        changed = threading.Event()
        for path in paths:
            threading.Thread(target=self._watch, args=(path, changed), daemon=True).start()
        return changed

    def _watch(self, path: str, changed: threading.Event) -> None:
        while True:
            try:
                with self._open(
                    f"{path}?watch=1&timeoutSeconds={_WATCH_FOR}", timeout=_WATCH_FOR + 5
                ) as response:
                    for _line in response:
                        changed.set()
            # A response that is cut within a chunk raises an HTTPException, which is no OSError.
            except (OSError, HTTPException) as error:
                print(path, repr(error), flush=True)
                time.sleep(_RETRY)

    def _read(self, path: str, timeout: float, body: bytes | None = None) -> bytes:
        try:
            with self._open(path, timeout, body) as response:
                return response.read()
        except HTTPException as error:
            raise ConnectionError(f"{path}: the response is cut off: {error!r}") from error

    def _open(self, path: str, timeout: float, body: bytes | None = None) -> HTTPResponse:
        request = urllib.request.Request(  # noqa: S310 (always https: see `of`)
            self.server + path,
            body,
            {
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/strategic-merge-patch+json",
            },
            method="PATCH" if body else "GET",
        )
        response = urllib.request.urlopen(request, timeout=timeout, context=self.ssl_context)  # noqa: S310 (the same)
        return cast(HTTPResponse, response)


def kubeconfig(server_ip: str, ca: Path, token: str) -> str:
    """Render a kubeconfig with one cluster and one user; JSON, which YAML readers take as well.

    Args:
        server_ip: The API server's address.
        ca: The certificate of its authority.
        token: The user's bearer token.
    """
    name = "sandbox"
    cluster = {
        "server": f"https://{server_ip}:{PORT}",
        "certificate-authority-data": base64.b64encode(ca.read_bytes()).decode(),
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": {"token": token}}],
        },
        indent=1,
    )
