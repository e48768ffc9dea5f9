"""What `up` says of the registry as this machine reaches it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pulumi
import pytest

from components.ingress import from_here, report_ingress
from tests.unit.program.conftest import CONFIG, Run


class Front(BaseHTTPRequestHandler):
    """What is behind the hostname."""

    queue: list[tuple[int, str]] = []  # noqa: RUF012 - each test sets its own

    def do_GET(self) -> None:
        status, challenge = self.queue.pop(0)
        self.send_response(status)
        self.send_header("WWW-Authenticate", challenge)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hostname(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(from_here, "PATIENCE_SECONDS", 0)
    with HTTPServer(("127.0.0.1", 0), Front) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    logged: dict[str, list[str]] = {"info": [], "warn": []}
    for kind, texts in logged.items():
        monkeypatch.setattr(pulumi.log, kind, texts.append)
    return logged


def test_a_registry_that_asks_for_a_login_is_reached(
    hostname: str, messages: dict[str, list[str]]
) -> None:
    Front.queue = [(401, 'Basic realm="registry"')]
    report_ingress(hostname, "none")
    assert messages == {
        "info": [f"http://{hostname}/v2/ asks for a login, as it should"],
        "warn": [],
    }


@pytest.mark.parametrize("response", [(200, ""), (404, ""), (401, 'Basic realm="other"')])
def test_something_else_under_the_hostname_is_reported(
    hostname: str, messages: dict[str, list[str]], response: tuple[int, str]
) -> None:
    Front.queue = [response]
    report_ingress(hostname, "none")
    assert f"got {response[0]}: something else has this hostname" in messages["warn"][0]
    assert not messages["info"]


def test_a_registry_that_this_machine_does_not_reach_is_a_warning(
    hostname: str, messages: dict[str, list[str]]
) -> None:
    report_ingress(hostname, "secret")
    assert "was not reached from this machine" in messages["warn"][0]
    assert not messages["info"]


def test_an_ingress_controller_has_time_to_learn_of_the_registry(
    hostname: str, messages: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_here, "PATIENCE_SECONDS", 60)
    Front.queue = [(404, ""), (401, 'Basic realm="registry"')]
    report_ingress(hostname, "none")
    assert not messages["warn"]


NONE, WRONG = ssl.SSLError("none"), ssl.SSLCertVerificationError("wrong")


@pytest.mark.parametrize(
    ("mode", "problem", "waits"),
    [("letsEncrypt", NONE, True), ("letsEncrypt", WRONG, False), ("secret", NONE, False)],
)
def test_up_waits_for_a_certificate_that_is_on_its_way(
    messages: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    problem: ssl.SSLError,
    waits: bool,
) -> None:
    problems = [problem, problem, None]
    monkeypatch.setattr(from_here, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(from_here, "_problem", lambda _: problems.pop(0))
    report_ingress("registry.example.com", mode)
    assert bool(messages["warn"]) != waits


def test_only_an_update_ends_with_the_request(run: Run) -> None:
    assert run().requests == [(CONFIG["hostname"], "secret")]
    assert run({**CONFIG, "tls": {"mode": "none"}}).requests == [(CONFIG["hostname"], "none")]
    assert run(preview=True).requests == []
