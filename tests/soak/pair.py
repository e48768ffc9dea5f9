"""The auth proxy and a registry as processes, and a listener between them that notes requests."""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from components.credentials import hash_password
from components.network import PORT, PROXY_METRICS_PATH
from components.registry.auth_proxy import auth_proxy_config
from components.registry.cache_routes import NAME, service_name
from components.registry.side_servers import (
    FINDINGS_FOLDER,
    MANIFESTS_ADDRESS,
    REGISTRY_ADDRESS,
)
from components.registry.user_rules import ProxyUser
from settings.immutable import ImmutableRule
from tests.soak.servers import START_SECONDS, free_port

SALT = "AAECAwQFBgcICQoLDA0ODw=="
PLACES = 16

Rights = Mapping[str, tuple[Sequence[str], Sequence[str]]]


@dataclass(frozen=True)
class Received:
    """What the registry got.

    Attributes:
        headers: The headers, with lower-case names.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Between(ThreadingHTTPServer):
    """Passes requests on to the registry, and notes them by their User-Agent."""

    daemon_threads = True

    def __init__(self, registry: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.registry = registry
        self.seen: dict[str, list[Received]] = {}

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Passes a request on, whatever its method."""

    protocol_version = "HTTP/1.1"
    server: Between

    def do_GET(self) -> None:
        headers = {
            name.lower(): value.encode("latin-1").decode() for name, value in self.headers.items()
        }
        body = self._body(headers)
        received = Received(self.command, self.path, headers, body)
        self.server.seen.setdefault(headers.get("user-agent", ""), []).append(received)
        connection = http.client.HTTPConnection(*self.server.registry, timeout=60)
        unframed = {
            name: value.encode() for name, value in headers.items() if name != "transfer-encoding"
        }
        connection.request(self.command, self.path, body or None, unframed)
        response = connection.getresponse()
        content = response.read()
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        length = response.getheader("Content-Length") if self.command == "HEAD" else len(content)
        if response.status not in {204, 304}:
            self.send_header("Content-Length", str(length or 0))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server calls them so

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if "transfer-encoding" not in headers:
            return self.rfile.read(int(headers.get("content-length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def log_message(self, *args: object) -> None:
        pass


class AuthProxy:
    """Caddy, as the program configures it, on a free port.

    Args:
        registry: The address to pass requests on to.
        manifests: That of the registry for manifests; by default the same.
        cache: That of a cache of another registry, `docker`, if there is one.
    """

    def __init__(
        self, tools: Path, folder: Path, registry: str, manifests: str = "", cache: str = ""
    ) -> None:
        self._cache = cache
        self.port, self._metrics_port = (free_port(("127.0.0.1",)) for _ in range(2))
        self._caddy, self._folder = tools / "caddy", folder
        self._registry, self._manifests = registry, manifests or registry
        self._config = folder / "caddy.json"

    def configure(
        self,
        rights: Rights,
        ends: Mapping[str, int] | None = None,
        before: str = "",
        immutable: Mapping[str, ImmutableRule] | None = None,
    ) -> None:
        """Write the configuration, which a running Caddy notices.

        Args:
            rights: What users may push and pull, by name, which is the password, too.
            ends: When logins end, in seconds since 1970, by name.
            immutable: The tags that stay what they are, as rules by name.
            before: What the passwords of the generation before end with; empty for none.
        """
        users = [
            ProxyUser(
                name=name,
                password_hash=hash_password(name, SALT),
                previous_hash=hash_password(name + before, SALT) if before else "",
                push=push,
                pull=pull,
                ends=(ends or {}).get(name),
            )
            for name, (push, pull) in rights.items()
        ]
        text = auth_proxy_config(
            users=users,
            maintenance=users[0],
            read_only=False,
            metrics=True,
            parallel_uploads=PLACES,
            tls=True,
            tcp_route=True,
            immutable=immutable or {},
            admin="admin",
            caches=["docker"] if self._cache else [],
            scan=True,
        )
        text = text.replace(f"{service_name(NAME)}:{PORT}", self._cache)
        text = text.replace(FINDINGS_FOLDER, str(self._folder))
        text = text.replace(REGISTRY_ADDRESS, self._registry)
        text = text.replace(MANIFESTS_ADDRESS, self._manifests)
        config: dict[str, Any] = json.loads(text)
        config["apps"]["http"].pop("shutdown_delay")
        servers = config["apps"]["http"]["servers"]
        ports = {"registry": self.port, "metrics": self._metrics_port}
        config["apps"]["http"]["servers"] = {
            name: {**servers[name], "listen": [f"127.0.0.1:{port}"]} for name, port in ports.items()
        }
        # At once: half of a file would be no configuration.
        new = self._config.with_suffix(".new")
        new.write_text(json.dumps(config).replace(f":{PORT}", f":{self.port}"))
        new.replace(self._config)

    def start(self) -> None:
        with (self._folder / "caddy.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(self._caddy), "run", "--config", str(self._config), "--watch"],
                env={"HOME": str(self._folder)},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.knows(""):
            assert time.monotonic() < deadline, (self._folder / "caddy.log").read_text()
            time.sleep(0.05)

    def knows(self, user: str) -> bool:
        """Return whether it takes a user's login; that of nobody, whether it responds at all."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", "/v2/", headers={"Authorization": login(user)})
            return connection.getresponse().status == (200 if user else 401)
        except OSError:
            return False
        finally:
            connection.close()

    def metrics(self) -> str:
        """Return the auth proxy's own metrics, as Prometheus gets them."""
        return self.scraped(PROXY_METRICS_PATH)[1]

    def scraped(self, path: str) -> tuple[str, str]:
        """Return the type and the content of metrics, as Prometheus gets them."""
        connection = http.client.HTTPConnection("127.0.0.1", self._metrics_port, timeout=60)
        with closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == 200
            return response.getheader("Content-Type") or "", response.read().decode()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def login(user: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{user}".encode()).decode()


def serve(between: Between) -> None:
    threading.Thread(target=between.serve_forever, daemon=True).start()
