"""The way in: who may push, over which TLS, and for how long."""

from __future__ import annotations

import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import pki
from sandbox.build import images
from tests.sandbox.cert_manager import ISSUER, cert_manager
from tests.sandbox.clients import ask, slow_upload
from tests.sandbox.helpers import Sandbox, eventually

REPOSITORY = "identities/whoami"
DIGEST = "sha256:" + "0" * 64
OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method")
REFUSED = {401, 403, 405}
"""A client that is refused must not read it as "no such thing", nor as a passing failure."""


@pytest.fixture(scope="module")
def pull_password(sandbox: Sandbox) -> str:
    return sandbox.pulumi("stack", "output", "pull_password", "--show-secrets").stdout.strip()


@pytest.fixture(scope="module")
def image(sandbox: Sandbox) -> str:
    """An image that the admin pushed."""
    source = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    pushed = f"docker://{sandbox.registry}/{REPOSITORY}:1"
    sandbox.run("skopeo", "copy", f"--dest-creds=admin:{sandbox.password}", source, pushed)
    return pushed


@pytest.fixture(scope="module", autouse=True)
def slow_at_the_default(sandbox: Sandbox) -> Iterator[subprocess.Popen[str]]:
    """A slow upload, started at once: the other tests pass the minute that it takes."""
    with slow_upload(sandbox) as upload:
        yield upload
        upload.kill()


@pytest.fixture
def configure(sandbox: Sandbox) -> Iterator[Callable[..., None]]:
    """Answer a function that changes the configuration and applies it; undone at the end."""
    sections: set[str] = set()

    def change(**values: Any) -> None:
        sections.update(key.partition("__")[0] for key in values)
        sandbox.config(**values)
        sandbox.pulumi("up", "--yes", "--skip-preview")

    yield change
    for section in sections:
        sandbox.pulumi("config", "rm", "--path", section)
    sandbox.pulumi("up", "--yes", "--skip-preview")


@pytest.fixture
def trust(sandbox: Sandbox) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(sandbox.layout.pki / "ca.crt"))


@pytest.mark.usefixtures("image")
def test_the_pull_user_reads(
    sandbox: Sandbox, pull_password: str, tmp_path: Path, trust: ssl.SSLContext
) -> None:
    creds, pull = f"pull:{pull_password}", f"docker://{sandbox.registry}/{REPOSITORY}:1"
    sandbox.run("skopeo", "copy", f"--src-creds={creds}", pull, f"dir:{tmp_path}/image")
    url, manifest = f"https://{sandbox.registry}/v2/", f"{REPOSITORY}/manifests/1"
    for path in ("", "_catalog", f"{REPOSITORY}/tags/list", manifest):
        assert ask(url + path, login=creds, trust=trust)[0] == 200, path
    assert ask(url + manifest, "HEAD", login=creds, trust=trust)[0] == 200


def test_the_pull_user_cannot_push_what_is_new_nor_what_is_there(
    sandbox: Sandbox, pull_password: str, image: str
) -> None:
    creds = f"--dest-creds=pull:{pull_password}"
    source = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    for target in (f"docker://{sandbox.registry}/identities/new:1", image, f"{image}2"):
        done = sandbox.run("skopeo", "copy", creds, source, target, fails=True)
        assert "unauthorized: authentication required" in done.stderr, target


@pytest.mark.usefixtures("image")
def test_no_method_by_any_name_writes_for_the_pull_user(
    sandbox: Sandbox, pull_password: str, trust: ssl.SSLContext
) -> None:
    host = f"https://{sandbox.registry}"
    admin, pull = f"admin:{sandbox.password}", f"pull:{pull_password}"
    started, headers = ask(f"{host}/v2/a/blobs/uploads/", "POST", login=admin, trust=trust)
    assert started == 202
    upload = host + headers["Location"]
    assert "_state=" in upload, "what the admin started must be there to be replayed"
    uploads, manifest = f"{host}/v2/a/blobs/uploads/", f"{host}/v2/{REPOSITORY}/manifests/1"
    mount = f"{uploads}?mount={DIGEST}&from={REPOSITORY}"
    for url in (uploads, mount, upload, f"{upload}&digest={DIGEST}", manifest):
        for method in ("POST", "PUT", "PATCH", "DELETE", "post", "Put", "delete", "get", "GETS"):
            status, told = ask(url, method, login=pull, trust=trust)
            assert status in REFUSED, f"{method} {url} answered {status}"
            assert status != 401 or told["Www-Authenticate"] == 'Basic realm="registry"'
    for name in OVERRIDES:
        for method in ("GET", "HEAD"):
            trick = {name: "DELETE"}
            status, _ = ask(manifest, method, login=pull, headers=trick, trust=trust)
            assert status == 200, f"{method} with {name} answered {status}"
        status, _ = ask(manifest, "DELETE", login=pull, headers={name: "GET"}, trust=trust)
        assert status in REFUSED, name
    assert ask(manifest, login=pull, trust=trust)[0] == 200, "a trick has deleted it"
    assert ask(upload, "DELETE", login=admin, trust=trust)[0] == 204


def test_no_request_that_reads_can_become_a_connection_of_its_own(
    sandbox: Sandbox, pull_password: str, trust: ssl.SSLContext
) -> None:
    # What follows an upgrade is seen by no router: it would be any method's way in.
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAA"}
    url, login = f"https://{sandbox.registry}/v2/", f"pull:{pull_password}"
    assert ask(url, login=login, headers=upgrade, trust=trust)[0] == 200, "101 would be a switch"


def test_only_tls_1_2_and_newer_is_spoken(sandbox: Sandbox) -> None:
    def handshake(version: str, *, fails: bool = False) -> str:
        return sandbox.run(
            "openssl", "s_client", f"-{version}", "-cipher", "DEFAULT@SECLEVEL=0",
            "-connect", f"{sandbox.registry}:443", "-servername", sandbox.registry, fails=fails,
        ).stderr  # fmt: skip

    handshake("tls1_2")
    for version in ("tls1", "tls1_1"):
        assert "alert protocol version" in handshake(version, fails=True)


def test_every_answer_tells_browsers_to_stay_with_tls(
    sandbox: Sandbox, trust: ssl.SSLContext
) -> None:
    for method in ("GET", "POST"):
        _, headers = ask(f"https://{sandbox.registry}/v2/", method, trust=trust)
        assert headers["Strict-Transport-Security"] == "max-age=31536000"


def test_plain_http_never_asks_for_a_password(sandbox: Sandbox) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        status, headers = ask(f"http://{sandbox.registry}/v2/", method)
        assert (status, headers["Www-Authenticate"]) == (404, None)


def test_a_client_without_a_certificate_is_refused_where_one_is_wanted(
    sandbox: Sandbox, configure: Callable[..., None], trust: ssl.SSLContext
) -> None:
    authority = sandbox.layout.pki / "ca.crt"
    configure(tls__clientCa=authority.read_text())
    url = f"https://{sandbox.registry}/v2/"

    def refused() -> bool:
        try:
            ask(url, trust=trust)
        except (ssl.SSLError, urllib.error.URLError) as error:
            return "certificate required" in str(error)
        return False

    eventually("a client without certificate is refused", refused)
    known = ssl.create_default_context(cafile=str(authority))
    known.load_cert_chain(*pki.issue(sandbox.layout.pki, "client"))
    assert ask(url, login=f"admin:{sandbox.password}", trust=known)[0] == 200
    assert ask(url, trust=known)[0] == 401, "a certificate is no login"


def test_cert_manager_gets_the_certificate(
    sandbox: Sandbox, configure: Callable[..., None]
) -> None:
    with cert_manager(sandbox):
        configure(tls__mode="certManager", tls__issuer=ISSUER, tls__secretName="issued")
        try:
            sandbox.kubectl(
                "wait", "--namespace=registry", "--for=condition=Ready", "certificate/issued"
            )
            issued = sandbox.secret("issued")["tls.crt"]
            eventually(
                "the certificate is served",
                lambda: ssl.get_server_certificate((sandbox.registry, 443)) in issued,
            )
        finally:
            sandbox.kubectl("delete", "secret", "issued", "--namespace=registry")


def test_without_tls_the_same_holds_over_plain_http(
    sandbox: Sandbox, configure: Callable[..., None], pull_password: str
) -> None:
    configure(tls__mode="none")
    url, pull = f"http://{sandbox.registry}/v2/", f"pull:{pull_password}"
    eventually("it is served", lambda: ask(url, login=pull)[0] == 200)
    uploads = f"{url}a/blobs/uploads/"
    admin = f"admin:{sandbox.password}"
    eventually("the admin may push", lambda: ask(uploads, "POST", login=admin)[0] == 202)
    status, headers = ask(uploads, "POST", login=pull)
    assert status == 401
    assert "Strict-Transport-Security" not in headers


def test_a_layer_that_takes_75_s_is_cut_after_60_by_default(
    sandbox: Sandbox, slow_at_the_default: subprocess.Popen[str]
) -> None:
    said, _ = slow_at_the_default.communicate(timeout=90)
    assert "0 of 1 arrived" in said, said
    seconds = float(said.split(" after ")[1].split(" s")[0])
    assert 59 < seconds < 65, said
    limit = sandbox.pulumi("stack", "output", "upload_limit").stdout
    assert "after 60 s" in limit, "who has a thin uplink must be told"


def test_somebody_elses_traefik_is_not_overwritten_but_a_patch_is_printed(
    sandbox: Sandbox,
) -> None:
    name = {"name": "traefik", "namespace": "kube-system"}
    kind = {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChartConfig"}
    sandbox.apply({**kind, "metadata": name, "spec": {"valuesContent": "logs: {}\n"}})
    sandbox.config(ingress__uploadTimeout=120)
    try:
        refused = sandbox.pulumi("preview", fails=True).stdout
        kept = sandbox.get("helmchartconfig", "traefik", "--namespace=kube-system")
    finally:
        sandbox.pulumi("config", "rm", "--path", "edge")
        sandbox.kubectl("delete", "helmchartconfig", "traefik", "--namespace=kube-system")
    assert "this stack did not make it" in refused
    assert "kubectl edit --namespace kube-system helmchartconfig traefik" in refused
    assert "readTimeout: 120s" in refused
    assert kept["spec"]["valuesContent"] == "logs: {}\n"


@pytest.fixture
def k3s_default(sandbox: Sandbox) -> Iterator[None]:
    """See to it at the end that Traefik is again as it was."""
    yield
    told(sandbox, [])


@pytest.mark.usefixtures("k3s_default")
def test_it_arrives_once_the_upload_timeout_is_longer(
    sandbox: Sandbox, configure: Callable[..., None]
) -> None:
    configure(ingress__uploadTimeout=120)
    told(sandbox, ["120s"])
    said, _ = slow_upload(sandbox).communicate(timeout=120)
    assert "1 of 1 arrived" in said, said
    assert float(said.split(" after ")[1].split(" s")[0]) > 74, "it was not slow enough to tell"


def told(sandbox: Sandbox, wanted: list[str]) -> None:
    """Wait until Traefik runs with these read timeouts, and serves the registry."""

    def timeouts() -> list[str]:
        spec = sandbox.get("deployment", "traefik", "--namespace=kube-system")["spec"]
        arguments = spec["template"]["spec"]["containers"][0]["args"]
        return [argument.split("=")[1] for argument in arguments if "readTimeout=" in argument]

    eventually("k3s has told Traefik", lambda: timeouts() == wanted)
    served(sandbox)


def served(sandbox: Sandbox) -> None:
    """Wait until a Traefik that was told to restart serves the registry."""
    sandbox.kubectl("rollout", "status", "deployment/traefik", "--namespace=kube-system")

    def answers() -> bool:
        try:
            return sandbox.http("GET", "/v2/")[0] == 401
        except OSError:
            return False

    eventually("the registry is served", answers)


@pytest.fixture
def forgotten(sandbox: Sandbox) -> Iterator[None]:
    """Let Traefik forget a certificate at the end: it would be served beside the others."""
    yield
    sandbox.kubectl("rollout", "restart", "deployment/traefik", "--namespace=kube-system")
    served(sandbox)


@pytest.mark.usefixtures("forgotten")
def test_acme_gets_a_certificate_from_the_authority_after_proving_the_name(
    sandbox: Sandbox, configure: Callable[..., None], trust: ssl.SSLContext
) -> None:
    configure(tls__mode="acme")
    host = sandbox.layout.acme_host
    with urllib.request.urlopen(f"https://{host}:15000/roots/0", context=trust) as answer:
        acme = ssl.create_default_context(cadata=answer.read().decode())

    def issued() -> bool:
        try:
            return ask(f"https://{sandbox.registry}/v2/", trust=acme)[0] == 401
        except urllib.error.URLError:
            return False

    eventually("a certificate of the authority's is served", issued)
