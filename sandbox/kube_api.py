"""Reads the node's API server, with nothing but the standard library."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, Self, cast

PORT = 6443
"""Of the API server; the same as k3s'."""


@dataclass(frozen=True)
class KubeApi:
    """One user's way to the API server.

    Attributes:
        server: ``https://<address>:6443``.
        token: The user's bearer token.
        trust: Knows the server's authority.
    """

    server: str
    token: str
    trust: ssl.SSLContext

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
        """Get what is at a path, such as ``/api/v1/pods``.

        Raises:
            OSError: No connection, or another answer than 200 (``urllib.error.HTTPError``).
        """
        with self._open(path, timeout=5) as answer:
            return json.load(answer)

    def ready(self) -> bool:
        """Say whether the API server calls itself ready."""
        try:
            with self._open("/readyz", timeout=2) as answer:
                return answer.read() == b"ok"
        except OSError:
            return False

    def watch(self, path: str, seconds: int) -> Iterator[None]:
        """Yield once for each thing there is at a path, then for each change, until time is up.

        Args:
            path: A list, such as ``/api/v1/pods``.
            seconds: After which the server ends the watch.

        Raises:
            OSError: No connection, or another answer than 200.
        """
        with self._open(f"{path}?watch=1&timeoutSeconds={seconds}", timeout=seconds + 5) as answer:
            for _line in answer:
                yield

    def _open(self, path: str, timeout: float) -> HTTPResponse:
        request = urllib.request.Request(  # noqa: S310 (always https: see `of`)
            self.server + path, headers={"Authorization": f"Bearer {self.token}"}
        )
        answer = urllib.request.urlopen(request, timeout=timeout, context=self.trust)  # noqa: S310 (the same)
        return cast(HTTPResponse, answer)


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
