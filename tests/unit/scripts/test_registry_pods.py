"""Pods are made to forget, or it is an error."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scripts.registry_pods import ForgetError, Memory, Pods
from tests.unit.scripts.fake_bucket import FakeBucket

LAYER = Memory("team/app", "_layers", "sha256:aa")
MANIFEST = Memory("team/app", "_manifests/revisions", "sha256:bb")


class Server(ThreadingHTTPServer):
    """A pod that responds with some statuses, then always with the same."""

    daemon_threads = True
    status = 404

    def response(self) -> int:
        return self.statuses.pop(0) if self.statuses else self.status

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str]] = []
        self.statuses: list[int] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_DELETE(self) -> None:
        self.server.requests.append((self.path, self.headers["authorization"]))
        self.send_response_only(self.server.response())
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        thread = threading.Thread(target=started.serve_forever, args=(0.01,))
        thread.start()
        yield started
        started.shutdown()
        thread.join()


def pods(server: Server) -> Pods:
    return Pods(f"localhost:{server.server_port}", "maintenance", "secret")


@pytest.mark.parametrize("status", [404, 500])
def test_a_layer_is_asked_for_as_a_manifest_and_a_manifest_as_a_layer_as_no_such_links_exist(
    server: Server, status: int
) -> None:
    server.status = status
    pods(server).forget(FakeBucket(), [LAYER, MANIFEST])
    login = f"Basic {base64.b64encode(b'maintenance:secret').decode()}"
    assert server.requests == [
        ("/v2/team/app/manifests/sha256:aa", login),
        ("/v2/team/app/blobs/sha256:bb", login),
    ]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.registry_pods.RETRY_SECONDS", (0, 0))


@pytest.mark.parametrize("status", [502, 503])
def test_a_pod_that_cannot_say_yet_is_asked_again(server: Server, status: int) -> None:
    server.statuses = [status, status]
    pods(server).forget(FakeBucket(), [LAYER])
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [202, 401, 403, 405, 429])
def test_a_refusal_is_final(server: Server, status: int) -> None:
    server.status = status
    with pytest.raises(ForgetError):
        pods(server).forget(FakeBucket(), [LAYER])
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [202, 401, 403, 405, 429, 502, 503])
def test_a_pod_that_says_anything_else_may_still_remember(server: Server, status: int) -> None:
    server.status = status
    with pytest.raises(ForgetError, match=rf"DELETE /v2/team/app/manifests/sha256:aa: {status}"):
        pods(server).forget(FakeBucket(), [LAYER])


def test_a_pod_that_does_not_answer_may_still_remember() -> None:
    nobody = Pods("127.0.0.1:1", "maintenance", "secret")
    with pytest.raises(ForgetError, match=r"pod 127\.0\.0\.1: "):
        nobody.forget(FakeBucket(), [LAYER])


def test_a_service_without_pods_is_an_error() -> None:
    with pytest.raises(ForgetError, match=r"nobody\.invalid names no pod"):
        Pods("nobody.invalid:5000", "maintenance", "secret").forget(FakeBucket(), [LAYER])
