"""A stand-in for the API server's Leases: creation, preconditions and finalizers."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import pytest

from scripts.nodes import lease
from scripts.nodes.lease import Lease
from scripts.shared import api_server

PATH = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
TOKEN = "token-1"


class Leases:
    """One Lease, and what was asked for it.

    Attributes:
        held: The Lease; None if there is none.
        failures: The statuses of the next responses, the last one first.
        calls: The methods of all requests.
        token: What requests must carry.
    """

    def __init__(self) -> None:
        self.held: dict[str, Any] | None = None
        self.failures: list[int] = []
        self.calls: list[str] = []
        self.token = TOKEN
        self.created = 0

    @property
    def free(self) -> bool:
        """Whether there is no Lease."""
        return self.held is None

    def delete(self) -> None:
        """Delete as kubectl does: what has a finalizer is only marked."""
        assert self.held
        if self.held["metadata"].get("finalizers"):
            self.held["metadata"]["deletionTimestamp"] = "now"
        else:
            self.held = None

    def respond(self, method: str, path: str, kind: str, body: Any) -> tuple[int, Any]:
        self.calls.append(method)
        if self.failures:
            return self.failures.pop(), {"message": "not now"}
        if method == "POST":
            assert (path, kind) == (PATH, "application/json")
            assert body["apiVersion"] == "coordination.k8s.io/v1"
            assert body["kind"] == "Lease"
            if self.held:
                return 409, {}
            self.created += 1
            body["metadata"]["uid"] = f"uid-{self.created}"
            self.held = body
            return 201, body
        assert path == f"{PATH}/lock"
        if not self.held:
            return 404, {}
        metadata = self.held["metadata"]
        if method == "DELETE":
            if body["preconditions"]["uid"] != metadata["uid"]:
                return 409, {}
            self.delete()
        elif method == "PATCH":
            assert kind == "application/merge-patch+json"
            assert body["metadata"].pop("finalizers") is None
            if body["metadata"] != {"uid": metadata["uid"]}:
                return 409, {}
            del metadata["finalizers"]
            if "deletionTimestamp" in metadata:
                self.held = None
        return 200, self.held or {}


class Served(Protocol):
    """What responds to those who have a token: to a method, a path, a content type and a body."""

    token: str

    def respond(self, method: str, path: str, kind: str, body: Any, /) -> tuple[int, Any]: ...


@contextmanager
def serving(leases: Served) -> Iterator[str]:
    """Serve it, and yield the server's URL."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = 401, {"message": "who is that?"}
            if self.headers["Authorization"] == f"Bearer {leases.token}":
                kind = self.headers["Content-Type"]
                status, body = leases.respond(
                    self.command, self.path, kind, json.loads(text or "null")
                )
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self._handle()

        def do_POST(self) -> None:
            self._handle()

        def do_PATCH(self) -> None:
            self._handle()

        def do_DELETE(self) -> None:
            self._handle()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def leases(monkeypatch: pytest.MonkeyPatch) -> Iterator[Leases]:
    monkeypatch.setattr(lease, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(api_server, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(api_server, "TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(ssl, "create_default_context", lambda cafile: Path(cafile).read_text())
    stand_in = Leases()
    with serving(stand_in) as url:
        monkeypatch.setattr(api_server, "URL", url)
        yield stand_in


def lock(folder: Path, holder: str = "node-a/registry-nodes") -> Lease:
    """Return the lock for one holder."""
    (folder / "token").write_text(TOKEN)
    (folder / "ca.crt").write_text("the CA")
    return Lease("kube-system/lock", holder, folder)
