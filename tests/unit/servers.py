"""Servers on loopback that respond as a test wants."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import pki


class Request(http.server.BaseHTTPRequestHandler):
    """A request, with the body that was sent."""

    body: bytes


Result = tuple[int, dict[str, str], str | bytes]
"""Status, headers and body."""
Handle = Callable[[Request], Result]
Serve = Callable[..., str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return a function that starts a server on loopback, and returns its URL."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(handle: Handle, *, tls: bool = False) -> str:
        class Handler(Request):
            def respond(self) -> None:
                self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, body = handle(self)
                content = body.encode() if isinstance(body, str) else body
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = respond  # noqa: N815
            do_PATCH = do_OPTIONS = respond  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Ignore clients that speak something else: that is what they are for."""

        server = Server(("127.0.0.1", 0), Handler)
        if tls:
            pki.authority(tmp_path)
            certificate, key = pki.issue(tmp_path, "storage", "127.0.0.1")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)
        return f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
