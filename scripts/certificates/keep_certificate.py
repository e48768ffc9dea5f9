"""Keep what an ACME client writes into a folder in a Secret: its account, and the certificate.

So a new pod goes on where the last one ended, and an ingress controller serves the certificate.
The client is Caddy: https://caddyserver.com/docs/conventions#data-directory
"""

from __future__ import annotations

import argparse
import base64
import json
import signal
import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any

from scripts.shared.api_server import ApiServer, ApiServerError

INTERVAL_SECONDS = 5
"""How often the folder is looked at."""

SETTLE_SECONDS = 10
"""How long it may take until an ingress controller knows of a pod that has started."""

START, CONFIG = "start.json", "caddy.json"
"""The client's files of configuration: that with which it starts, and asks for nothing, and then
its own. A challenge that does not get to the client would be a failure, of which an ACME server
takes few: https://letsencrypt.org/docs/rate-limits/"""

KEPT = "acme.json"
"""The Secret's key for the folder's files."""


def restore(secret: dict[str, Any], folder: Path, server: str) -> bool:
    """Write the files that a Secret keeps; return whether they are of this ACME server."""
    kept = json.loads(base64.b64decode(secret["data"][KEPT]))
    if kept["server"] != server:
        return False
    for name, text in kept["files"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return True


def to_keep(folder: Path, hostname: str, server: str) -> dict[str, str] | None:
    """Return the data of the Secret; None while there is no certificate with its key."""
    for certificate in folder.glob(f"certificates/*/{hostname}/{hostname}.crt"):
        key = certificate.with_suffix(".key")
        try:
            # The two are not written at once.
            ssl.create_default_context().load_cert_chain(certificate, key)
        except OSError:
            return None
        files = {
            str(path.relative_to(folder)): path.read_text()
            for place in ("acme", "certificates")
            for path in sorted((folder / place).rglob("*"))
            if path.is_file()
        }
        data = {
            "tls.crt": certificate.read_text(),
            "tls.key": key.read_text(),
            KEPT: json.dumps({"server": server, "files": files}),
        }
        return {name: base64.b64encode(text.encode()).decode() for name, text in data.items()}
    return None


def configure(folder: Path, config: Path, name: str) -> None:
    """Write another configuration for the client, which looks for one each second."""
    new = folder / f"{name}.new"
    new.write_bytes((config / name).read_bytes())
    new.replace(folder / CONFIG)


def wait_for_client(port: int) -> None:
    """Wait until the client in this pod listens."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(1)
        else:
            return


class Keeper:
    """Writes the Secret whenever the folder has changed.

    Args:
        api: The API server, as a service account that may create Secrets, and patch this one.
        secret: The namespace and the name of the Secret, as ``namespace/name``.
    """

    def __init__(self, api: ApiServer, secret: str) -> None:
        self._api = api
        namespace, self._name = secret.split("/")
        self._secrets = f"/api/v1/namespaces/{namespace}/secrets"
        self._data: dict[str, str] | None = None

    def read(self) -> dict[str, Any] | None:
        """Return the Secret; None if there is none yet."""
        secret: dict[str, Any] | None = self._api.call("GET", f"{self._secrets}/{self._name}")
        return secret

    def write(self, data: dict[str, str] | None) -> None:
        """Write the Secret, if there is something new."""
        if not data or data == self._data:
            return
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self._name},
            "type": "kubernetes.io/tls",
            "data": data,
        }
        if self._api.call("PATCH", f"{self._secrets}/{self._name}", secret) or self._api.call(
            "POST", self._secrets, secret
        ):
            self._data = data
            print(f"wrote the certificate to the Secret {self._name}", flush=True)


def main(argv: list[str] | None = None) -> int:
    """Restore the folder, or keep it until this process is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("restore", "keep"))
    parser.add_argument("--folder", type=Path, required=True, help="where the ACME client writes")
    parser.add_argument("--config", type=Path, required=True, help="its files of configuration")
    parser.add_argument("--port", type=int, required=True, help="where it listens")
    parser.add_argument("--hostname", required=True, help="the certificate's name")
    parser.add_argument("--server", required=True, help="the URL of the ACME server's directory")
    parser.add_argument("--secret", required=True, help="namespace/name of the Secret")
    parser.add_argument("--credentials", type=Path, required=True, help="token and ca.crt for it")
    args = parser.parse_args(argv)
    keeper = Keeper(ApiServer(args.credentials), args.secret)
    try:
        if args.action == "restore":
            secret = keeper.read()
            restored = secret and restore(secret, args.folder, args.server)
            print("restored" if restored else f"nothing is kept of {args.server} yet")
            configure(args.folder, args.config, START)
            return 0
        stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
        wait_for_client(args.port)
        stopped.wait(SETTLE_SECONDS)
        configure(args.folder, args.config, CONFIG)
        while True:
            # Once more when it stops, for what is newest.
            stopping = stopped.wait(INTERVAL_SECONDS)
            keeper.write(to_keep(args.folder, args.hostname, args.server))
            if stopping:
                return 0
    except ApiServerError as error:
        print(f"FAILED: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
