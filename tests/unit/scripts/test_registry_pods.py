"""Pods are made to forget, or it is an error."""

from __future__ import annotations

import base64

import pytest

from scripts.maintenance.registry_pods import ForgetError, Pods
from tests.unit.scripts.fake_bucket import FakeBucket
from tests.unit.servers import Request, Result, Serve

LAYER, OTHER = ("team/app", "sha256:aa"), ("base", "sha256:bb")


class Pod:
    """A pod that responds with some statuses, then always with the same."""

    def __init__(self, serve: Serve) -> None:
        self.status = 404
        self.statuses: list[int] = []
        self.requests: list[tuple[str, str]] = []
        self.port = serve(self.respond).rpartition(":")[2]

    def respond(self, request: Request) -> Result:
        assert request.command == "DELETE"
        self.requests.append((request.path, request.headers["authorization"]))
        return (self.statuses.pop(0) if self.statuses else self.status), {}, ""


@pytest.fixture
def server(serve: Serve) -> Pod:
    return Pod(serve)


def pods(server: Pod) -> Pods:
    return Pods(f"localhost:{server.port}", "maintenance", "secret")


@pytest.mark.parametrize("status", [404, 500])
def test_each_layer_is_asked_for_as_a_manifest_as_no_such_link_exists(
    server: Pod, status: int
) -> None:
    server.status = status
    pods(server).forget(FakeBucket(), [LAYER, OTHER])
    login = f"Basic {base64.b64encode(b'maintenance:secret').decode()}"
    assert server.requests == [
        ("/v2/team/app/manifests/sha256:aa", login),
        ("/v2/base/manifests/sha256:bb", login),
    ]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.maintenance.registry_pods.RETRY_SECONDS", (0, 0))


@pytest.mark.parametrize("status", [502, 503])
def test_a_pod_that_cannot_say_yet_is_asked_again(server: Pod, status: int) -> None:
    server.statuses = [status, status]
    pods(server).forget(FakeBucket(), [LAYER])
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [202, 401, 403, 405, 429])
def test_a_refusal_is_final(server: Pod, status: int) -> None:
    server.status = status
    with pytest.raises(ForgetError):
        pods(server).forget(FakeBucket(), [LAYER])
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [202, 401, 403, 405, 429, 502, 503])
def test_a_pod_that_says_anything_else_may_still_remember(server: Pod, status: int) -> None:
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
