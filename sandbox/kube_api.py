"""A client of the node's API server, with nothing but the standard library."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self, cast

PORT = 6443
"""Of the API server; the same as k3s'."""


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
        """Return whether the API server reports that it is ready."""
        try:
            return self._read("/readyz", timeout=2) == b"ok"
        except OSError:
            return False

    def _read(self, path: str, timeout: float) -> bytes:
        request = urllib.request.Request(  # noqa: S310 (always https: see `of`)
            self.server + path, headers={"Authorization": f"Bearer {self.token}"}
        )
        context = self.ssl_context
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=context) as response:  # noqa: S310 (the same)
                return cast(bytes, response.read())
        # A response that is cut within a chunk raises an HTTPException, which is no OSError.
        except HTTPException as error:
            raise ConnectionError(f"{path}: the response is cut off: {error!r}") from error


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
