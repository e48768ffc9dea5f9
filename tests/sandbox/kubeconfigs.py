"""Ways to the sandbox's API server, and one that passes for another cluster's."""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.sandbox.helpers import Sandbox

Kubeconfig = dict[str, Any]


def kubeconfig(sandbox: Sandbox) -> Kubeconfig:
    config: Kubeconfig = yaml.safe_load(sandbox.layout.kubeconfig.read_text())
    return config


def written(config: Kubeconfig, path: Path) -> Path:
    path.write_text(json.dumps(config))
    return path


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    """Run a server, and return its port."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def tunnel(url: str) -> Iterator[str]:
    """Serve an API server under another address, as through a load balancer or VPN."""
    target = urlsplit(url)

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((str(target.hostname), int(target.port or 443))) as far:
                back = threading.Thread(target=pump, args=(far, self.request))
                back.start()
                pump(self.request, far)
                back.join()

    socketserver.ThreadingTCPServer.daemon_threads = True
    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"https://127.0.0.1:{port}"


@contextmanager
def another_cluster(sandbox: Sandbox) -> Iterator[str]:
    """Serve an API server as another cluster's: all but its identity is the same."""
    config = kubeconfig(sandbox)
    server = config["clusters"][0]["cluster"]["server"]
    context = ssl.create_default_context(cafile=str(sandbox.layout.pki / "ca.crt"))
    token = config["users"][0]["user"]["token"]
    uid = sandbox.get("namespace", "kube-system")["metadata"]["uid"]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {"Authorization": f"Bearer {token}"}
            request = urllib.request.Request(f"{server}{self.path}", headers=headers)
            with urllib.request.urlopen(request, context=context, timeout=10) as response:
                body = response.read().replace(uid.encode(), b"another-cluster")
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}"
