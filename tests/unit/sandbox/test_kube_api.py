"""The API server's client reports a response that is cut off."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sandbox.kube_api import KubeApi


class CutWithinAChunk(BaseHTTPRequestHandler):
    """A server that dies while it sends a response."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"40\r\n{}\n")

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with HTTPServer(("127.0.0.1", 0), CutWithinAChunk) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield KubeApi(f"http://127.0.0.1:{server.server_port}", "", ssl.create_default_context())
        server.shutdown()


def test_an_object_that_is_cut_off_is_a_connection_error(api: KubeApi) -> None:
    with pytest.raises(ConnectionError, match="/api/v1/pods: the response is cut off"):
        api.get("/api/v1/pods")
