"""What an ACME client has written is kept in a Secret, and restored from it."""

from __future__ import annotations

import base64
import json
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from scripts.certificates import keep_certificate
from scripts.certificates.keep_certificate import (
    CONFIG,
    KEPT,
    START,
    Keeper,
    main,
    restore,
    to_keep,
    wait_for_client,
)
from scripts.shared.api_server import ApiServer

HOST = "registry.example.com"
SERVER = "https://acme.example.com/dir"
SECRETS = "/api/v1/namespaces/registry/secrets"


def issue(folder: Path, *, half: bool = False) -> None:
    """Write a certificate with its key as Caddy does; with the key of another one if ``half``."""
    site = folder / "certificates" / "acme.example.com-dir" / HOST
    site.mkdir(parents=True, exist_ok=True)
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-subj", f"/CN={HOST}", "-out", f"{site}/{HOST}.crt",
            "-keyout", f"{site}/{HOST}.key" if not half else "/dev/null"]  # fmt: skip
    subprocess.run(argv, check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What Caddy writes: an account, a certificate and things that need not be kept."""
    for name in ("acme/acme.example.com-dir/users/you@example.com/you.key", "locks/a.lock"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(name)
    issue(tmp_path)
    return tmp_path


def kept(folder: Path) -> dict[str, str]:
    data = to_keep(folder, HOST, SERVER)
    assert data
    return data


def test_a_new_pod_has_the_account_and_the_certificate_of_the_last_one(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    new = tmp_path_factory.mktemp("new")
    assert restore({"data": kept(folder)}, new, SERVER)
    assert to_keep(new, HOST, SERVER) == kept(folder)
    assert (new / "acme/acme.example.com-dir/users/you@example.com/you.key").exists()
    assert not (new / "locks").exists(), "a lock of a pod that is gone"


def test_the_ingress_controller_gets_the_certificate_with_its_key(folder: Path) -> None:
    data = {name: base64.b64decode(text).decode() for name, text in kept(folder).items()}
    site = folder / "certificates/acme.example.com-dir" / HOST
    assert data["tls.crt"] == (site / f"{HOST}.crt").read_text()
    assert data["tls.key"] == (site / f"{HOST}.key").read_text()


def test_another_acme_server_starts_anew(folder: Path, tmp_path_factory: Any) -> None:
    new = tmp_path_factory.mktemp("new")
    assert not restore({"data": kept(folder)}, new, "https://other.example.com/dir")
    assert not list(new.iterdir())


def test_a_certificate_without_its_key_is_not_kept_yet(folder: Path) -> None:
    issue(folder, half=True)
    assert to_keep(folder, HOST, SERVER) is None


def test_the_certificate_of_another_hostname_is_not_kept(folder: Path) -> None:
    assert to_keep(folder, "other.example.com", SERVER) is None


class Api:
    """An API server with one Secret or none."""

    def __init__(self) -> None:
        self.secret: dict[str, Any] | None = None
        self.calls: list[str] = []

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        self.calls.append(f"{method} {path}")
        if method == "POST" or (method == "PATCH" and self.secret):
            self.secret = body
        return self.secret


def test_the_secret_is_written_when_there_is_something_new(folder: Path) -> None:
    api = Api()
    keeper = Keeper(cast("ApiServer", api), "registry/acme")
    assert keeper.read() is None
    keeper.write(None)
    keeper.write(kept(folder))
    keeper.write(kept(folder))
    assert api.secret
    assert (api.secret["metadata"], api.secret["type"]) == ({"name": "acme"}, "kubernetes.io/tls")
    issue(folder)
    keeper.write(kept(folder))
    assert api.secret["data"] == kept(folder)
    patch = f"PATCH {SECRETS}/acme"
    assert api.calls == [f"GET {SECRETS}/acme", patch, f"POST {SECRETS}", patch]


def test_a_secret_that_could_not_be_written_is_written_later(folder: Path) -> None:
    api = Api()
    keeper = Keeper(cast("ApiServer", api), "registry/acme")
    api.call = lambda *_: None  # type: ignore[method-assign] # somebody else created it meanwhile
    keeper.write(kept(folder))
    del api.call  # Back to the class's.
    keeper.write(kept(folder))
    assert api.secret
    assert json.loads(base64.b64decode(api.secret["data"][KEPT]))["server"] == SERVER


@pytest.mark.parametrize("argv", [["restore"], ["keep"]])
def test_the_client_asks_for_a_certificate_once_it_can_be_reached(
    folder: Path, monkeypatch: pytest.MonkeyPatch, argv: list[str]
) -> None:
    config = folder / "config"
    config.mkdir()
    (config / START).write_text("listen")
    (config / CONFIG).write_text("ask")
    (folder / CONFIG).write_text("")
    waited: list[str] = []

    class Stopped(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(f"{timeout} s with {(folder / CONFIG).read_text()!r}")
            return len(waited) > 1

    api = Api()
    monkeypatch.setattr(threading, "Event", Stopped)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(keep_certificate, "ApiServer", lambda _: api)
    with socket.create_server(("127.0.0.1", 0)) as client:
        assert main([
            *argv, f"--folder={folder}", f"--config={config}", f"--hostname={HOST}",
            f"--port={client.getsockname()[1]}", f"--server={SERVER}", "--secret=registry/acme",
            f"--credentials={folder}",
        ]) == 0  # fmt: skip
    if argv == ["restore"]:
        assert (folder / CONFIG).read_text() == "listen"
        assert not api.secret
    else:
        assert waited == ["10 s with ''", "5 s with 'ask'"]
        assert api.secret
        assert api.secret["data"] == kept(folder), "what is newest, before it stops"


def test_a_client_that_does_not_listen_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    started: list[socket.socket] = []

    def start(_: float) -> None:
        started.append(socket.create_server(("127.0.0.1", port)))

    monkeypatch.setattr("time.sleep", start)
    wait_for_client(port)
    for client in started:
        client.close()
    assert len(started) == 1
