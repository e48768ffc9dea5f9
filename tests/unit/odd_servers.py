"""What else may have a registry's hostname, byte by byte, and a server that sends it."""

from __future__ import annotations

import contextlib
import itertools
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator

import pytest

from scripts.shared.registry_client import MAX_BYTES

OK = b"HTTP/1.1 200 OK\r\n"
PARKED = b"<!DOCTYPE html><title>This domain is parked</title>"


def _with_length(body: bytes, length: int | None = None) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


def _redirect(location: bytes) -> bytes:
    return b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"


DEEP = b'{"repositories":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

ODD: dict[str, bytes] = {
    "nothing": b"",
    "an SSH server": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a server of TLS": b"\x15\x03\x01\x00\x02\x02\x32",
    "a mail server": b"220 mail.example.com ESMTP\r\n",
    "a page without a status": PARKED,
    "a long page without a status": PARKED * 20,
    "a page for everything": _with_length(PARKED),
    "a status that is no number": b"HTTP/1.1 fine\r\n\r\n",
    "a status that is none of HTTP": b"HTTP/1.1 99999 No\r\n\r\n",
    "a version that is none of HTTP": b"HTTP/2.0.1 200 OK\r\n\r\n",
    "a long line": b"HTTP/1.1 200 " + b"x" * 70_000,
    "a long header": OK + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
    "many headers": OK + b"X: x\r\n" * 200 + b"\r\n",
    "a header that is none": OK + b"\xff\xfe no colon\r\n\r\n",
    "half a response": _with_length(b'{"repositories": []}', 1000),
    "half a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\nhalf",
    "a chunk without a size": OK + b"Transfer-Encoding: chunked\r\n\r\nsize\r\n",
    "a length that is no number": OK + b"Content-Length: much\r\n\r\n" + PARKED,
    "a length below zero": OK + b"Content-Length: -1\r\n\r\n" + PARKED,
    "a length of 5000 digits": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "much": _with_length(b" " * (MAX_BYTES + 1)),
    "much, without a length": OK + b"\r\n" + b" " * (MAX_BYTES + 1),
    "a redirect to no URL": _redirect(b"http://[bad/"),
    "a redirect with a space": _redirect(b"http://a b/"),
    "a redirect to a file": _redirect(b"file:///etc/passwd"),
    "a redirect to a page": _redirect(b"/login"),
    "no UTF-8": _with_length(b'{"repositories": ["\xff"], "tags": ["\xff"]}'),
    "deep JSON": _with_length(DEEP),
    "a number of 5000 digits": _with_length(b'{"repositories": ' + b"9" * 5000 + b"}"),
    "other JSON": _with_length(b'["repositories"]'),
    "a text where a list is expected": _with_length(b'{"repositories": "app"}'),
}
"""What is sent before the connection is closed, whatever was asked."""


def _endless(*parts: bytes) -> Iterator[bytes]:
    return itertools.chain(parts[:-1], itertools.repeat(parts[-1]))


ENDLESS: dict[str, Callable[[], Iterator[bytes]]] = {
    "silence": lambda: _endless(b""),
    "headers without an end": lambda: _endless(OK, b"X"),
    "a body without an end": lambda: _endless(OK + b"\r\n", b"x"),
    "a response that is always about to come": lambda: _endless(b"HTTP/1.1 100 Continue\r\n\r\n"),
}
"""What is sent little by little, for ever."""

OddServer = Callable[[Callable[[], Iterable[bytes]]], str]


@pytest.fixture
def odd_server() -> Iterator[OddServer]:
    """Return a function that starts a server of some bytes on loopback, and returns its URL."""
    stopped = threading.Event()
    servers: list[socketserver.ThreadingTCPServer] = []

    def start(parts: Callable[[], Iterable[bytes]]) -> str:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.recv(65536)
                with contextlib.suppress(OSError):  # the client has gone
                    for number, part in enumerate(parts()):
                        if number and stopped.wait(0.005):
                            return
                        self.request.sendall(part)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    stopped.set()
    for server in servers:
        server.shutdown()
        server.server_close()
