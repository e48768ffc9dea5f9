"""What an ACME client has written is kept in a Secret, and restored from it."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from scripts.api_server import ApiServer
from scripts.keep_certificate import KEPT, Keeper, restore, to_keep

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
