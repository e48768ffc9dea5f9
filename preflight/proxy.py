"""Requests to the cluster by one kubectl: each start of it takes more time than the requests do."""

from __future__ import annotations

import http.client
import select
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress

SECONDS = 3
"""For the start, and for each response. A cluster that takes longer is asked by kubectl itself."""


def fetch(paths: Sequence[str], arguments: Sequence[str], kubeconfig: str) -> dict[str, str]:
    """Return what the cluster has, by path; nothing is said of what cannot be had, or why."""
    with suppress(OSError, http.client.HTTPException):
        return dict(_fetched(paths, arguments, kubeconfig))
    return {}


def _fetched(
    paths: Sequence[str], arguments: Sequence[str], kubeconfig: str
) -> Iterator[tuple[str, str]]:
    # Only this user may enter the folder, so nobody else uses the socket. And it takes GET only.
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/socket"
        command = ["kubectl", "proxy", f"--unix-socket={address}", "--reject-methods=^[^G]"]
        with subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            try:
                assert process.stdin and process.stdout  # noqa: S101 (they are pipes)
                process.stdin.write(kubeconfig)
                process.stdin.close()
                # It prints a line once it listens.
                select.select([process.stdout], [], [], SECONDS)
                with closing(_Connection(address)) as connection:
                    for path in paths:
                        connection.request("GET", path)
                        response = connection.getresponse()
                        body = response.read().decode()
                        if response.status == http.client.OK:
                            yield path, body
            finally:
                process.kill()


class _Connection(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, address: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._address)
