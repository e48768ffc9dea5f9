"""The doctor and Pulumi's own list, after real faults: what is said fixes them."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import pki
from sandbox.build import images
from tests.sandbox.clients import send
from tests.sandbox.helpers import Sandbox, eventually

KUBECTL = ("kubectl", "--namespace=registry")
DRIFT = ("refresh", "--preview-only", "--expect-no-changes")


def doctor(sandbox: Sandbox) -> list[str]:
    """Return the lines of what the doctor shows; it must find something."""
    return sandbox.run("python3", "-m", "scripts.client.doctor", fails=True).stdout.splitlines()


def healthy(sandbox: Sandbox) -> bool:
    output = sandbox.run("python3", "-m", "scripts.client.doctor").stdout
    return output == f"{sandbox.registry}: the certificate is valid, and all images can be pulled\n"


def fix(sandbox: Sandbox, line: str) -> None:
    """Run the command of a line."""
    sandbox.run("sh", "-ec", line.partition("; fix: ")[2])


@pytest.fixture(autouse=True)
def nothing_left(sandbox: Sandbox) -> Iterator[None]:
    assert healthy(sandbox)
    yield
    assert healthy(sandbox)
    sandbox.pulumi(*DRIFT)


def put_back(sandbox: Sandbox, *listed: str) -> None:
    """Let Pulumi list what was changed, and put it back, as docs/operations.md says."""
    output = sandbox.pulumi(*DRIFT, fails=True).stdout
    for name in listed:
        assert name in output
    sandbox.pulumi("up", "--refresh", "--yes", "--skip-preview")


def test_a_deleted_storage_key(sandbox: Sandbox) -> None:
    keys = sandbox.api("GET", "spaces/keys")["keys"]
    (key,) = [x for x in keys if x["grants"][0]["bucket"] == sandbox.bucket]
    sandbox.api("DELETE", f"spaces/keys/{key['access_key']}")
    put_back(sandbox, "SpacesKey", "storage-key")


def test_a_deleted_bootstrap_key(sandbox: Sandbox) -> None:
    keys = sandbox.api("GET", "spaces/keys")["keys"]
    (key,) = [x for x in keys if x["grants"][0]["permission"] == "fullaccess"]
    sandbox.api("DELETE", f"spaces/keys/{key['access_key']}")
    sandbox.pulumi(*DRIFT, fails=True)
    key_only = "**::bootstrap-key"
    sandbox.pulumi("refresh", "--yes", "--skip-preview", f"--target={key_only}")
    sandbox.pulumi("up", "--yes", "--skip-preview")


def test_edited_scaled_and_deleted_objects(sandbox: Sandbox) -> None:
    port = '[{"op": "replace", "path": "/spec/ports/0/port", "value": 5001}]'
    sandbox.run(*KUBECTL, "patch", "service", "registry", "--type=json", f"--patch={port}")
    sandbox.run(*KUBECTL, "scale", "deployment/registry", "--replicas=0")
    sandbox.run(*KUBECTL, "delete", "ingress", "--all")
    assert doctor(sandbox)[-1].startswith(f"https://{sandbox.registry} cannot be used: ")
    put_back(sandbox, "registry-service", "registry-deployment", "ingress-ingress")


def test_a_certificate_that_expires_soon(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = ("create", "secret", "tls", "registry-tls", "--dry-run=client", "--output=yaml")

    def use(certificate: Path, key: Path) -> None:
        secret = sandbox.run(*KUBECTL, *command, f"--cert={certificate}", f"--key={key}").stdout
        sandbox.run("kubectl", "apply", "--filename=-", stdin=secret)

    monkeypatch.setattr(pki, "_DAYS", 10)
    use(*pki.issue(sandbox.layout.pki, "expiring", sandbox.registry))
    finding = f"the certificate of {sandbox.registry} expires in "
    eventually("Traefik serves it", lambda: any(finding in line for line in doctor(sandbox)))
    monkeypatch.undo()
    line = doctor(sandbox)[-1]
    renewed, key = pki.issue(sandbox.layout.pki, "registry", sandbox.registry)
    (tmp_path / "fullchain.pem").write_text(renewed.read_text())
    (tmp_path / "privkey.pem").write_text(key.read_text())
    fix(
        sandbox,
        line.replace("fullchain.pem", f"{tmp_path}/fullchain.pem").replace(
            "privkey.pem", f"{tmp_path}/privkey.pem"
        ),
    )
    eventually("Traefik serves the new one", lambda: healthy(sandbox))


def test_an_image_that_lost_a_layer(sandbox: Sandbox) -> None:
    source = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    image = f"docker://{sandbox.registry}/doctor/whoami:1"
    login = ("--dest-creds", f"admin:{sandbox.password}")
    sandbox.run("skopeo", "copy", *login, source, image)
    creds = f"--creds=admin:{sandbox.password}"
    manifest = json.loads(sandbox.run("skopeo", "inspect", "--raw", creds, image).stdout)
    digest = manifest["layers"][0]["digest"].removeprefix("sha256:")
    layer = f"docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
    sandbox.s3().delete_object(Bucket=sandbox.bucket, Key=layer)
    lines = doctor(sandbox)
    (line,) = [x for x in lines if x.startswith("doctor/whoami:1 cannot be pulled: ")]
    assert digest in line
    assert line.endswith(", and push doctor/whoami:1 again, or delete it")
    fix(sandbox, line.partition(", and push")[0])
    eventually("the registry is back", lambda: sandbox.http("GET", "/v2/", login=True)[0] == 200)
    sandbox.run("skopeo", "copy", *login, source, image)


@pytest.mark.long
def test_a_login_that_has_ended(sandbox: Sandbox, ssl_context: ssl.SSLContext) -> None:
    """The same for podman as a wrong password; a later day lets the same password in."""
    up = ("up", "--yes", "--skip-preview")
    command = ("podman", "login", sandbox.registry, "--username=ci", "--password-stdin")

    def password() -> str:
        return str(
            json.loads(sandbox.pulumi("stack", "output", "users", "--show-secrets").stdout)["ci"]
        )

    def reasons() -> set[str]:
        """Return what the audit log says of a login that podman is refused."""
        refused = sandbox.run(*command, stdin=password(), fails=True)
        assert "invalid username/password" in refused.stderr
        log = sandbox.kubectl(
            *("logs", "--namespace=registry", "--container=auth-proxy", "--tail=-1"),
            "--selector=app.kubernetes.io/component=registry",
        ).stdout
        lines = [json.loads(x) for x in log.splitlines() if x.startswith("{")]
        return {x["reason"] for x in lines if x.get("user_id") == "ci" and "reason" in x}

    sandbox.config(**{"users__ci__push[0]": "team-a/*", "users__ci__until": "2026-01-01"})
    try:
        assert "users.ci.until = 2026-01-01: this login has ended" in sandbox.pulumi(*up).stdout
        (line,) = doctor(sandbox)
        assert line.startswith("users.ci.until = 2026-01-01: this login has ended; fix: pulumi ")
        eventually("it is refused with a reason", lambda: reasons() == {"the login has ended"})
        sandbox.config(users__ci__until="2099-12-31")
        assert "this login" not in sandbox.pulumi(*up).stdout
        url, login = f"https://{sandbox.registry}/v2/", f"ci:{password()}"
        eventually(
            "the same password is taken",
            lambda: send(url, login=login, ssl_context=ssl_context)[0] == 200,
        )
        sandbox.run(*command, stdin=password())
    finally:
        sandbox.pulumi("config", "rm", "users")
        sandbox.pulumi(*up)
