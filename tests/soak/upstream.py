"""Another registry, which has one image and fails in every way that a cache has to survive."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.soak.client import MANIFEST, Image, digest_of

USER, PASSWORD = "robot$team", 's3cret "of" the cache'

TOKEN = "Bearer of-the-right-user"


@dataclass
class State:
    """What the registry does.

    Attributes:
        image: What its only tag, `latest` of `library/app`, names.
        login: Whether it wants a token, for which it wants a login: as docker.io's private ones.
        limited: Whether it has had too many requests.
        dies_after: After how many bytes of a layer it ends the connection; 0 for never.
        requests: Those that it got, with their status.
    """

    image: Image
    login: bool = False
    limited: bool = False
    dies_after: int = 0
    requests: list[tuple[str, int]] = field(default_factory=list)


@contextmanager
def upstream(state: State) -> Iterator[str]:
    """Serve, and return the URL."""

    class Handler(_Handler):
        registry = state

    with _Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: the cache may end a connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: State

    def do_GET(self) -> None:
        path, state = self.path.partition("?")[0], self.registry
        if path == "/token":
            pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            known = self.headers.get("Authorization") == f"Basic {pair}"
            token = {"token": TOKEN.removeprefix("Bearer ") if known else "anonymous"}
            self._respond(200, json.dumps(token).encode())
        elif state.limited and path != "/v2/":
            error = {"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}
            self._respond(429, json.dumps(error).encode())
        elif state.login and self.headers.get("Authorization") != TOKEN:
            realm = f"http://{self.headers['Host']}/token"
            challenge = f'Bearer realm="{realm}",service="upstream"'
            self._respond(401, b"{}", **{"WWW-Authenticate": challenge})
        elif path == "/v2/":
            self._respond(200, b"{}")
        else:
            self._content(path)

    do_HEAD = do_GET  # noqa: N815 - http.server calls it so

    def _content(self, path: str) -> None:
        image = self.registry.image
        manifests = {
            f"/v2/library/app/manifests/{x}": image.manifest for x in ("latest", image.digest)
        }
        blobs = {f"/v2/library/app/blobs/{x}": content for x, content in image.blobs.items()}
        if path in manifests:
            digest = digest_of(image.manifest)
            headers = {"Content-Type": MANIFEST, "Docker-Content-Digest": digest}
            self._respond(200, image.manifest, **headers)
        elif path in blobs:
            self._respond(200, blobs[path], **{"Content-Type": "application/octet-stream"})
        else:
            unknown = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "unknown"}]}
            self._respond(404, json.dumps(unknown).encode())

    def _respond(self, status: int, body: bytes, **headers: str) -> None:
        self.registry.requests.append((f"{self.command} {self.path}", status))
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        most = self.registry.dies_after
        if most and len(body) > most:
            self.wfile.write(body[:most])
            self.close_connection = True
        else:
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass
