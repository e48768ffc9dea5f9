"""The proof, against registries that do not do what they must."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from jobs import prove
from tests.unit.conftest import ROOT

Answers = Callable[[http.server.BaseHTTPRequestHandler], int]
Serve = Callable[[Answers], str]

RIGHT = prove.basic("admin", "right")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Answer a function that starts a server on loopback, and answers its URL."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(answers: Answers) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(answers(self))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def __getattr__(self, name: str) -> Callable[[], None]:
                if name.removeprefix("do_") in prove.METHODS:
                    return self.answer
                raise AttributeError(name)

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def proven(url: str, password: str = "right") -> list[str]:
    return list(prove.prove(url, "admin", password, 0))


def test_a_registry_that_lets_everybody_in_is_not_proven(serve: Serve) -> None:
    with pytest.raises(prove.ProofError, match="expected 401, got 200"):
        proven(serve(lambda _: 200))


def test_a_registry_that_lets_nobody_in_is_not_proven(serve: Serve) -> None:
    with pytest.raises(prove.ProofError, match=r"cannot log in: GET .* got 401"):
        proven(serve(lambda _: 401))


def test_a_registry_with_one_open_method_is_not_proven(serve: Serve) -> None:
    def open_delete(request: http.server.BaseHTTPRequestHandler) -> int:
        known = request.headers.get("Authorization") == RIGHT
        return 200 if known or request.command == "DELETE" else 401

    with pytest.raises(prove.ProofError, match=r"DELETE .*expected 401, got 200"):
        proven(serve(open_delete))


def test_a_registry_that_cannot_store_is_not_proven_and_says_what_it_answered(serve: Serve) -> None:
    def full(request: http.server.BaseHTTPRequestHandler) -> int:
        if request.headers.get("Authorization") != RIGHT:
            return 401
        return 200 if request.command == "GET" else 500

    with pytest.raises(
        prove.ProofError, match=r"POST .*/v2/proof/blobs/uploads/: expected 202, got 500"
    ):
        proven(serve(full))


def test_a_new_password_is_waited_for(serve: Serve) -> None:
    refused = [401, 401]

    def late(_: http.server.BaseHTTPRequestHandler) -> int:
        return refused.pop() if refused else 200

    registry = prove.Registry(serve(late), RIGHT)
    prove.wait_for_login(registry, 10)
    assert not refused


def test_nothing_that_listens_is_a_failure_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sys,
        "argv",
        ["prove.py", "http://127.0.0.1:9", "--username", "admin", "--password-file", "/dev/null"],
    )
    assert prove.main() == 1
    assert "FAILED: cannot log in: " in capsys.readouterr().out


def test_it_runs_without_anything_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "jobs.prove", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "--password-file" in done.stdout
