"""A listener before a registry that passes bytes on, and notes what went which way."""

from __future__ import annotations

import http.client
import io
import socket
import socketserver
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.soak.serving import Serving

NO_BODY = {204, 304}
TLS = b"\x16"
"""How a handshake begins. Clients try that first."""


@dataclass(frozen=True)
class Exchange:
    """A request and the response to it.

    Attributes:
        sent: The request's headers, with lower-case names; those of the response are `headers`.
        whole: Whether the client sent all of the body.
        status: 0 if there was no response.
    """

    method: str
    target: str
    sent: Mapping[str, str]
    body: bytes
    whole: bool
    status: int
    headers: Mapping[str, str]
    content: bytes


class Recorder(Serving, socketserver.ThreadingTCPServer):
    """Passes connections on, so that nothing of a request or a response changes.

    Args:
        port: The registry's.
    """

    allow_reuse_address = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = port
        self.connections: list[tuple[bytearray, bytearray]] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def take(self) -> list[Exchange]:
        """Return what was noted of connections since the last call; clients have ended."""
        taken, self.connections = self.connections, []
        return [exchange for sent, got in taken for exchange in exchanges(bytes(sent), bytes(got))]


class _Handler(socketserver.BaseRequestHandler):
    server: Recorder
    request: socket.socket

    def handle(self) -> None:
        noted = (bytearray(), bytearray())
        self.server.connections.append(noted)
        with socket.create_connection(("127.0.0.1", self.server.upstream)) as upstream:
            there = threading.Thread(target=_pass_on, args=(self.request, upstream, noted[0]))
            there.start()
            _pass_on(upstream, self.request, noted[1])
            there.join()


def _pass_on(source: socket.socket, target: socket.socket, noted: bytearray) -> None:
    # One of the two may be gone.
    with suppress(OSError):
        while part := source.recv(65536):
            noted += part
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def exchanges(sent: bytes, got: bytes) -> list[Exchange]:
    """Return what went over a connection of HTTP/1.1."""
    there, back = io.BytesIO(sent), io.BytesIO(got)
    found: list[Exchange] = []
    if sent[:1] == TLS:
        return found
    while line := there.readline():
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers = _headers(there)
        body, whole = _body(there, headers, ends=False)
        status, received, content = 0, {}, b""
        while status // 100 in {0, 1} and (line := back.readline()):
            status, received = int(line.split(b" ", 2)[1]), _headers(back)
        if method != "HEAD" and status not in NO_BODY:
            content, _ = _body(back, received, ends=True)
        found.append(Exchange(method, target, headers, body, whole, status, received, content))
    return found


def _headers(stream: io.BytesIO) -> dict[str, str]:
    message: Any = http.client.parse_headers(stream)
    return {name.lower(): ", ".join(message.get_all(name)) for name in message}


def _body(stream: io.BytesIO, headers: Mapping[str, str], *, ends: bool) -> tuple[bytes, bool]:
    """Return a body, and whether it is whole; what has no length may end with the connection."""
    if "transfer-encoding" not in headers:
        if ends and "content-length" not in headers:
            return stream.read(), True
        length = int(headers.get("content-length", 0))
        body = stream.read(length)
        return body, len(body) == length
    chunks = []
    while line := stream.readline():
        size = int(line.split(b";")[0], 16)
        chunks.append(stream.read(size))
        stream.readline()
        if not size:
            return b"".join(chunks), True
    return b"".join(chunks), False
