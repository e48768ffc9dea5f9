"""Pass TCP connections on, and deliver the server's bytes later: what a distance to S3 costs.

    python -m bench.delay LISTEN:PORT SERVER:PORT MILLISECONDS

The kernel's own way, netem, is a module that many machines lack.
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
import time
from contextlib import suppress

PIECE = 2**18
BUFFERED = 256
"""Pieces on their way: 64 MiB, more than any delay times any rate here."""

Pieces = queue.Queue[tuple[float, bytes]]


def main() -> None:
    """Listen until the end of the process, and say when."""
    listen, server, milliseconds = sys.argv[1:]
    with socket.create_server(_address(listen), backlog=128) as listener:
        print("listening", flush=True)
        while True:
            client, _ = listener.accept()
            upstream = socket.create_connection(_address(server))
            for end in (client, upstream):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _start(client, upstream, 0.0)
            # Once per round trip is enough: in which direction does not matter.
            _start(upstream, client, int(milliseconds) / 1000)


def _start(source: socket.socket, target: socket.socket, seconds: float) -> None:
    pieces: Pieces = queue.Queue(BUFFERED)
    threading.Thread(target=_read, args=(source, pieces, seconds), daemon=True).start()
    threading.Thread(target=_write, args=(target, pieces), daemon=True).start()


def _read(source: socket.socket, pieces: Pieces, seconds: float) -> None:
    data = b"-"
    while data:
        try:
            data = source.recv(PIECE)
        except OSError:
            data = b""
        pieces.put((time.monotonic() + seconds, data))


def _write(target: socket.socket, pieces: Pieces) -> None:
    while True:
        due, data = pieces.get()
        time.sleep(max(0.0, due - time.monotonic()))
        # After an error all else is dropped, so that the reader does not block.
        with suppress(OSError):
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    main()
