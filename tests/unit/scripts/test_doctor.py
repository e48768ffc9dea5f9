"""What the doctor finds, from previews of a refresh and from registries that lost something."""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from scripts.client import doctor
from scripts.client.doctor import Finding
from scripts.client.pullable import lost_images
from scripts.shared.registry_client import Registry
from tests.unit.servers import Request, Result, Serve

SPACE = "digitalocean:index/spacesBucket:SpacesBucket"
KEY = "digitalocean:index/spacesKey:SpacesKey"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"


def step(op: str, kind: str, name: str, **more: Any) -> dict[str, Any]:
    parent = "registry:index:PrivateRegistry$"
    return {"op": op, "urn": f"urn:pulumi:prod::k3s-registry::{parent}{kind}::{name}", **more}


def namespaced(name: str) -> dict[str, Any]:
    return {"inputs": {"metadata": {"name": name, "namespace": "registry"}}}


def test_what_is_as_it_was_left_is_no_finding() -> None:
    assert not list(doctor.changed([step("refresh", KEY, "k"), step("same", DEPLOYMENT, "d")]))


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (
            step("delete", KEY, "storage-key"),
            Finding("SpacesKey storage-key is gone", "pulumi up --refresh"),
        ),
        (
            step("delete", KEY, "bootstrap-key"),
            Finding(
                "SpacesKey bootstrap-key is gone",
                "pulumi refresh --target '**::bootstrap-key' && pulumi up",
            ),
        ),
        (
            step("delete", SPACE, "storage-bucket"),
            Finding(
                "SpacesBucket storage-bucket is gone, and all images with it; its name stays taken",
                "pulumi refresh && pulumi up --replace '**::storage-suffix'",
            ),
        ),
        (
            step("delete", DEPLOYMENT, "registry-deployment", oldState=namespaced("registry")),
            Finding("Deployment registry/registry is gone", "pulumi up --refresh"),
        ),
        (
            step(
                "update",
                DEPLOYMENT,
                "registry-deployment",
                oldState=namespaced("registry"),
                detailedDiff={"spec.template": {}, "spec.replicas": {}},
            ),
            Finding(
                "Deployment registry/registry was changed: spec.replicas, spec.template",
                "pulumi up --refresh",
            ),
        ),
    ],
)  # fmt: skip
def test_each_change_has_a_line_and_a_command(change: dict[str, Any], finding: Finding) -> None:
    assert list(doctor.changed([change])) == [finding]


Pulumi = Callable[[str], None]


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pulumi:
    """Return a function that puts a `pulumi` on PATH: a shell script."""

    def install(script: str) -> None:
        path = tmp_path / "pulumi"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return install


def test_a_lost_bootstrap_key_is_found_though_the_refresh_fails(pulumi: Pulumi) -> None:
    digest = json.dumps({"steps": [step("delete", KEY, "bootstrap-key")]})
    pulumi(f"case $* in *bootstrap-key*) echo '{digest}';; *) echo forbidden >&2; exit 255;; esac")
    (finding,) = doctor.drift()
    assert "bootstrap-key is gone" in finding.what


def test_a_refresh_that_fails_for_another_reason_is_an_error(pulumi: Pulumi) -> None:
    steps = json.dumps({"steps": [step("refresh", KEY, "bootstrap-key")]})
    error = json.dumps({"diagnostics": [{"severity": "error", "message": "no cluster"}]})
    pulumi(f"case $* in *bootstrap-key*) echo '{steps}';; *) echo '{error}'; exit 255;; esac")
    with pytest.raises(doctor.DoctorError, match="no cluster"):
        doctor.drift()


def test_a_stack_without_a_registry_is_told_apart_from_a_healthy_one(
    pulumi: Pulumi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pulumi("echo '{}'")
    monkeypatch.setattr(sys, "argv", ["doctor"])
    assert doctor.main() == 1
    assert "pulumi up" in capsys.readouterr().err


@pytest.fixture
def tls_port(serve: Serve) -> int:
    port = urlsplit(serve(lambda _: (200, {}, ""), tls=True)).port
    assert port
    return port


def test_a_certificate_of_an_unknown_authority_is_a_finding(tls_port: int) -> None:
    (finding,) = doctor.certificate("127.0.0.1", ssl.create_default_context(), tls_port)
    assert "refused: unable to get local issuer certificate" in finding


def test_a_certificate_is_a_finding_only_when_it_expires_soon(
    tls_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.crt"))
    assert not list(doctor.certificate("127.0.0.1", ssl.create_default_context(), tls_port))
    monkeypatch.setattr(doctor, "CERTIFICATE_DAYS", 10_000)
    (finding,) = doctor.certificate("127.0.0.1", ssl.create_default_context(), tls_port)
    assert finding.startswith("the certificate of 127.0.0.1 expires in ")


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
    pulumi: Pulumi, settings: dict[str, str], fix: str
) -> None:
    others = {"registry:hostname": {"value": "registry.example.com", "secret": False}}
    section = {"registry:tls": {"value": json.dumps(settings), "objectValue": settings}}
    pulumi(f"[ $1 = config ] && echo '{json.dumps({**others, **(section if settings else {})})}'")
    assert doctor.renewal("kubectl -n r", doctor.tls_settings()).startswith(fix)


def test_a_certificate_of_the_client_that_cannot_be_read_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["doctor", "--cert=nowhere.pem"])
    assert doctor.main() == 1
    assert "No such file" in capsys.readouterr().err


CONTENT: dict[str, Any] = {
    "/v2/_catalog?n=1000": {"repositories": ["app"]},
    "/v2/_catalog?n=1000&last=app": {"repositories": ["empty"]},
    "/v2/app/tags/list?n=1000": {"tags": ["1", "index"]},
    "/v2/empty/tags/list?n=1000": {"tags": None},
    "/v2/app/manifests/1": {"config": {"digest": "c"}, "layers": [{"digest": "l"}]},
    "/v2/app/manifests/index": {"manifests": [{"digest": "m"}]},
    "/v2/app/manifests/m": {"layers": [{"digest": "l"}, {"digest": "other", "urls": ["u"]}]},
    "/v2/app/blobs/c": {},
    "/v2/app/blobs/l": {},
}


def findings(serve: Serve, *lost: str) -> list[tuple[str, str]]:
    """Return the tags that cannot be pulled from a registry without the content of some paths."""
    paths: list[str] = []

    def handle(request: Request) -> Result:
        paths.append(request.path)
        if request.path in lost or request.path not in CONTENT:
            return 404, {}, "{}"
        if "/blobs/" in request.path:
            assert request.headers["Range"] == "bytes=0-0", "layers may have gigabytes"
        more = {"Link": '</v2/_catalog?n=1000&last=app>; rel="next"'}
        headers = more if request.path == "/v2/_catalog?n=1000" else {}
        return 200, headers, json.dumps(CONTENT[request.path])

    result = list(lost_images(Registry(serve(handle), "Basic x")))
    assert len(paths) == len(set(paths)), "what is shared is read once"
    return result


def test_a_registry_that_has_all_its_images_has_no_finding(serve: Serve) -> None:
    assert not findings(serve)


@pytest.mark.parametrize(
    ("lost", "tags"),
    [
        ("/v2/app/blobs/c", ["app:1"]),
        ("/v2/app/manifests/m", ["app:index"]),
        ("/v2/app/manifests/1", ["app:1"]),
    ],
)
def test_whatever_a_tag_misses_the_tag_is_named(serve: Serve, lost: str, tags: list[str]) -> None:
    lines = findings(serve, lost)
    assert [image for image, _ in lines] == tags
    assert f"{lost}: expected 200" in lines[0][1]
