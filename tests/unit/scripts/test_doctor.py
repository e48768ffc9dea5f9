"""What the doctor says, of every state of Pulumi, certificate and registry."""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from scripts.client import certificate, doctor
from scripts.client.doctor import Finding
from scripts.shared.registry_client import Registry, RegistryError
from tests.unit.odd_servers import ODD, OddServer
from tests.unit.servers import Request, Result, Serve

Pulumi = Callable[[str], None]

OUTPUTS = {
    "registry": "registry.example.com",
    "namespace": "images",
    "username": "admin",
    "password": "x",
}


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pulumi:
    """Return a function that puts a `pulumi` on PATH: a shell script."""

    def install(script: str) -> None:
        path = tmp_path / "pulumi"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return install


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["doctor", *arguments])
    return doctor.main()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo '{}'", "the stack has no registry; to create it: pulumi up"),
        ("""echo '{"registry": "of an interrupted up"}'""", "the stack has no registry"),
        ("echo no stack selected >&2; exit 255", "no stack selected"),
        ("echo Please choose a stack", "pulumi stack does not print JSON"),
    ],
)
def test_a_stack_that_tells_nothing_is_told_apart_from_a_healthy_one(
    pulumi: Pulumi,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    script: str,
    error: str,
) -> None:
    pulumi(script)
    assert run(monkeypatch) == 1
    assert error in capsys.readouterr().err


def test_a_certificate_of_the_client_that_cannot_be_read_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--cert=nowhere.pem") == 1
    assert "No such file" in capsys.readouterr().err


@pytest.fixture
def tls_port(serve: Serve) -> int:
    port = urlsplit(serve(lambda _: (200, {}, ""), tls=True)).port
    assert port
    return port


def test_a_certificate_of_an_unknown_authority_is_a_finding(tls_port: int) -> None:
    (finding,) = certificate.certificate("127.0.0.1", ssl.create_default_context(), tls_port)
    assert "refused: unable to get local issuer certificate" in finding


def test_a_certificate_is_a_finding_only_when_it_expires_soon(
    tls_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.crt"))
    assert not list(certificate.certificate("127.0.0.1", ssl.create_default_context(), tls_port))
    monkeypatch.setattr(certificate, "CERTIFICATE_DAYS", 10_000)
    (finding,) = certificate.certificate("127.0.0.1", ssl.create_default_context(), tls_port)
    assert finding.startswith("the certificate of 127.0.0.1 expires in ")


@pytest.mark.parametrize("reason", ["HTTP 403", ""])
def test_a_missing_certificate_is_a_finding_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, Any], reason: str
) -> None:
    asked: list[tuple[Any, ...]] = []

    def why_missing(*args: object) -> str:
        asked.append(args)
        return reason

    monkeypatch.setattr(doctor, "why_missing", why_missing)
    found["certificate"] = ["no certificate is served"]
    (finding,) = service({"mode": "letsEncrypt"})
    missing = "no certificate is served"
    assert finding.what == (f"{missing}: HTTP 403" if reason else missing)
    assert finding.fix == "kubectl --namespace images logs deployment/acme-client says why"
    assert asked == [("letsEncrypt", "registry.example.com", "images", certificate.ask_cluster)]


def test_what_the_cluster_does_not_tell_is_empty(pulumi: Pulumi, tmp_path: Path) -> None:
    (tmp_path / "kubectl").write_text("#!/bin/sh\n[ \"$*\" = 'get --raw=/a' ] && echo told\n")
    assert certificate.ask_cluster("/a") == "", "there is no kubectl that runs"
    (tmp_path / "kubectl").chmod(0o755)
    pulumi("exit 1")
    assert certificate.ask_cluster("/a") == "told\n"
    assert certificate.ask_cluster("/b") == ""


def test_what_the_program_warns_of_with_a_fix_is_a_finding(pulumi: Pulumi) -> None:
    messages = [
        ("warning", "warning: the Ingress a/b is in the way; fix: kubectl delete ingress b"),
        ("warning", "the hostname does not resolve"),
        ("info", "not; fix: this"),
    ]
    diagnostics = [{"severity": severity, "message": text} for severity, text in messages]
    pulumi(f"echo '{json.dumps({'diagnostics': diagnostics})}'")
    assert list(doctor.warned()) == [
        Finding("the Ingress a/b is in the way", "kubectl delete ingress b")
    ]
    for output in ("{}", "no JSON"):
        pulumi(f"echo '{output}'; exit 1")
        assert not list(doctor.warned())


@pytest.mark.parametrize(
    "sent",
    [
        b"\x15\x03\x03\x00\x02\x02\x70",  # unrecognized_name, of a Traefik that has none
        ODD["an SSH server"],
    ],
)
def test_where_no_certificate_is_served_its_renewal_is_the_fix(
    sent: bytes, odd_server: OddServer
) -> None:
    port = urlsplit(odd_server(lambda: [sent])).port
    (finding,) = certificate.certificate("127.0.0.1", ssl.create_default_context(), port or 0)
    assert finding.startswith("no certificate is served for 127.0.0.1: ")


def test_a_connection_that_ends_is_not_for_want_of_a_certificate(odd_server: OddServer) -> None:
    """The TCP route ends it where no pod of the registry is ready."""
    port = urlsplit(odd_server(lambda: [b""])).port
    with pytest.raises(OSError, match=r"EOF|reset"):
        list(certificate.certificate("127.0.0.1", ssl.create_default_context(), port or 0))


@pytest.mark.parametrize(
    ("settings", "fix"),
    [
        ({}, "kubectl -n r create secret tls registry-tls --cert fullchain.pem --key privkey.pem"),
        ({"secretName": "own"}, "kubectl -n r create secret tls own --cert"),
        ({"mode": "letsEncrypt"}, "kubectl -n r logs deployment/acme-client"),
        ({"mode": "acme"}, "the log of Traefik"),
        ({"mode": "certManager", "secretName": "own"}, "kubectl -n r describe certificate own"),
        ({"mode": "none"}, "renew it where TLS is terminated"),
    ],
)
def test_what_renews_a_certificate_depends_on_where_it_comes_from(
    settings: dict[str, str], fix: str
) -> None:
    assert certificate.renewal("kubectl -n r", settings).startswith(fix)


def test_the_settings_are_those_of_this_program_alone(pulumi: Pulumi) -> None:
    """A stack file may have keys of other projects; without one, Pulumi adds its own's name."""
    section = {"value": "{}", "objectValue": {"mode": "acme"}, "secret": False}
    pulumi(
        f"[ \"$*\" = 'config get tls --json --non-interactive' ] && echo '{json.dumps(section)}'"
    )
    assert doctor.section("tls") == {"mode": "acme"}


def test_settings_that_are_not_there_are_the_defaults_and_an_error_is_one(pulumi: Pulumi) -> None:
    pulumi(
        "echo \"error: configuration key 'k3s-registry:tls' not found for stack 'x'\" >&2; exit 4"
    )
    assert doctor.section("tls") == {}
    pulumi("echo wrong passphrase >&2; exit 255")
    with pytest.raises(doctor.DoctorError, match="wrong passphrase"):
        doctor.section("tls")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand in for certificate and images; what is in it can be changed."""
    findings: dict[str, Any] = {"certificate": [], "images": [], "error": None}

    def images(_: object) -> Any:
        yield from findings["images"]
        if findings["error"]:
            raise findings["error"]

    monkeypatch.setattr(doctor, "certificate", lambda *_: iter(findings["certificate"]))
    monkeypatch.setattr(doctor, "lost_images", images)
    return findings


def service(settings: dict[str, str] | None = None) -> list[Finding]:
    return list(doctor.service(OUTPUTS, settings or {}, ssl.create_default_context()))


def test_a_registry_that_works_has_no_finding(
    pulumi: Pulumi,
    found: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    outputs = json.dumps(OUTPUTS)
    pulumi(f"case $1 in stack) echo '{outputs}';; config) echo '{{}}';; esac")
    assert run(monkeypatch) == 0
    assert capsys.readouterr().out == (
        "registry.example.com: the certificate is valid, and all images can be pulled\n"
    )
    found["images"] = [("app:1", "cannot be pulled: 404"), ("app:2", "cannot be pulled: 404")]
    assert run(monkeypatch) == 1
    assert [line.split(" ")[0] for line in capsys.readouterr().out.splitlines()] == [
        *("app:1", "app:2")
    ]


def test_an_image_is_named_with_what_lets_it_be_pushed_again(found: dict[str, Any]) -> None:
    found["images"] = [("team/app:1", "cannot be pulled: GET ...: expected 200, got 404")]
    (finding,) = service()
    assert finding.what == "team/app:1 cannot be pulled: GET ...: expected 200, got 404"
    assert finding.fix.startswith("kubectl --namespace images delete pods --selector ")
    assert "push team/app:1 again" in finding.fix


@pytest.mark.parametrize("error", [RegistryError("GET ...: got 400"), OSError("timed out")])
def test_a_registry_that_cannot_be_used_is_the_last_finding(
    found: dict[str, Any], error: Exception
) -> None:
    found["images"], found["error"] = [("app:1", "cannot be pulled")], error
    image, last = service()
    assert image.what == "app:1 cannot be pulled"
    assert last.what == f"https://registry.example.com cannot be used: {error}"
    assert "--cert" not in last.fix
    assert "--cert" in service({"clientCa": "PEM"})[-1].fix


@pytest.mark.parametrize(
    ("status", "found"), [(404, False), (429, True), (500, True), (502, True), (403, True)]
)
def test_a_cache_that_cannot_ask_its_registry_is_a_finding(
    serve: Serve, status: int, found: bool
) -> None:
    """Nodes ask that registry themselves then, so nobody would notice."""
    asked: list[str] = []

    def respond(request: Request) -> Result:
        asked.append(request.path)
        return status, {}, "why"

    registry = Registry(serve(respond), None)
    findings = list(doctor.unreachable(registry, ["cache/hub"], "kubectl -n r"))
    assert bool(findings) == found
    assert asked == [f"/v2/cache/hub/doctor/doctor/manifests/sha256:{'0' * 64}"]
    for finding in findings:
        assert finding.what.startswith("cache/hub/ cannot fetch what it does not have: GET ")
        assert finding.fix == "kubectl -n r logs deployment/cache-hub says why"
