"""A proxy in front of the S3 server, which holds or fails requests, or lies."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from email.utils import formatdate, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.soak.serving import Serving

Hook = Callable[[str, str], int]
"""Is called with method and path before a request is passed on. What it returns is responded with
instead, if it is not 0; it may also take its time."""

Lie = Callable[[bytes], bytes]
"""Is called with a page of a list, and returns what is responded with instead."""


class Proxy(Serving, ThreadingHTTPServer):
    """Passes requests on as they are, so that their signatures hold.

    Args:
        port: The S3 server's.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = port
        self.hook: Hook = lambda method, path: 0  # noqa: ARG005 - nothing happens by default
        self.lie: Lie = lambda page: page
        self.ahead = 0.0
        """How many seconds its clock is ahead, as responses tell it."""

    def handle_error(self, *_: object) -> None:
        """A client that was killed or gave up."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        status = self.server.hook(self.command, self.path)
        if status:
            self.respond(status, {}, b"<Error><Code>SlowDown</Code></Error>")
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=60)
        try:
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            response = connection.getresponse()
            content = response.read()
            if response.status == 200 and "list-type=2" in self.path:
                content = self.server.lie(content)
            headers = dict(response.getheaders())
            now = parsedate_to_datetime(headers["Date"]).timestamp() + self.server.ahead
            self.respond(response.status, headers | {"Date": formatdate(now, usegmt=True)}, content)
        finally:
            connection.close()

    def respond(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        lengths = {"content-length", "transfer-encoding", "connection"}
        for name, value in headers.items():
            if name.lower() not in lengths or (self.command == "HEAD" and name != "Connection"):
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        pass
