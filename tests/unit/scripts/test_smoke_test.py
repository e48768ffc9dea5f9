"""The smoke test, against registries that do not work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.client import smoke_test
from scripts.shared import registry_client
from tests.unit.odd_servers import ODD, OddServer
from tests.unit.program.conftest import ROOT
from tests.unit.servers import Request, Serve

RIGHT = registry_client.basic("admin", "right")


def statuses(serve: Serve, status: Callable[[Request], int]) -> str:
    """Serve a registry of which only the statuses matter, and return its URL."""
    return serve(lambda request: (status(request), {}, ""))


def passed(url: str, password: str = "right") -> list[str]:
    return list(smoke_test.test(url, "admin", password, wait=0, replicas=1))


def test_a_registry_that_lets_everybody_in_is_not_passed(serve: Serve) -> None:
    with pytest.raises(registry_client.RegistryError, match="expected 401, got 200"):
        passed(statuses(serve, lambda _: 200))


def test_a_registry_that_lets_nobody_in_is_not_passed(serve: Serve) -> None:
    with pytest.raises(registry_client.RegistryError, match=r"cannot log in: GET .* got 401"):
        passed(statuses(serve, lambda _: 401))


def test_a_registry_with_one_open_method_is_not_passed(serve: Serve) -> None:
    def open_delete(request: Request) -> int:
        known = request.headers.get("Authorization") == RIGHT
        return 200 if known or request.command == "DELETE" else 401

    with pytest.raises(registry_client.RegistryError, match=r"DELETE .*expected 401, got 200"):
        passed(statuses(serve, open_delete))


def test_a_registry_that_cannot_store_is_not_passed_and_says_what_its_response_was(
    serve: Serve,
) -> None:
    def full(request: Request) -> int:
        if request.headers.get("Authorization") != RIGHT:
            return 401
        return 200 if request.command == "GET" else 500

    with pytest.raises(
        registry_client.RegistryError,
        match=r"POST .*/v2/smoke-test/blobs/uploads/: expected 202, got 500",
    ):
        passed(statuses(serve, full))


def test_a_new_password_is_waited_for(serve: Serve) -> None:
    refused = [401, 401]

    def late(_: Request) -> int:
        return refused.pop() if refused else 200

    registry = registry_client.Registry(statuses(serve, late), RIGHT)
    smoke_test.wait_for_login(registry, seconds=10, replicas=1)
    assert not refused


def test_a_pod_that_does_not_know_the_new_password_is_waited_for(serve: Serve) -> None:
    left = [200] * 5 + [401] + [200] * 20

    def one_of_two(_: Request) -> int:
        return left.pop(0)

    registry = registry_client.Registry(statuses(serve, one_of_two), RIGHT)
    smoke_test.wait_for_login(registry, seconds=10, replicas=2)
    assert not left


def run(monkeypatch: pytest.MonkeyPatch, url: str, password_file: Path) -> int:
    """Run it from the command line, and return the exit status."""
    arguments = [url, "--username=admin", f"--password-file={password_file}"]
    monkeypatch.setattr(sys, "argv", ["smoke_test.py", *arguments])
    return smoke_test.main()


def test_nothing_that_listens_is_a_failure_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "http://127.0.0.1:9", Path("/dev/null")) == 1
    assert "FAILED: cannot log in: GET http://127.0.0.1:9/v2/: [Errno 111] Connection refused" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("name", ODD)
def test_every_other_server_is_a_failure_in_words(
    name: str,
    odd_server: OddServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run(monkeypatch, odd_server(lambda: [ODD[name]]), Path("/dev/null")) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("FAILED: ")


def test_a_password_that_is_no_text_is_a_failure_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_bytes(b"\xff")
    assert run(monkeypatch, "http://127.0.0.1:9", tmp_path / "password") == 1
    assert "can't decode byte 0xff" in capsys.readouterr().out


def test_it_runs_without_anything_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "scripts.client.smoke_test", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "--password-file" in done.stdout
