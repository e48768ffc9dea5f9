"""The ingress: TLS and certificates."""

from __future__ import annotations

import ssl
import sys
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from sandbox import pki
from tests.sandbox.cert_manager import ACME_ISSUER, CA_ISSUER, cert_manager
from tests.sandbox.clients import send
from tests.sandbox.helpers import Sandbox, eventually


@pytest.fixture
def configure(sandbox: Sandbox) -> Iterator[Callable[..., None]]:
    """Return a function that changes the configuration and applies it; reverted at the end."""
    sections: set[str] = set()

    def change(**values: Any) -> None:
        sections.update(key.partition("__")[0] for key in values)
        sandbox.config(**values)
        sandbox.pulumi("up", "--yes", "--skip-preview")

    yield change
    for section in sections:
        sandbox.pulumi("config", "rm", "--path", section)
    sandbox.pulumi("up", "--yes", "--skip-preview")


def test_every_pod_knows_of_another_route_when_up_ends(
    sandbox: Sandbox, configure: Callable[..., None]
) -> None:
    """Traefik speaks the PROXY protocol at once; a running pod would learn it a minute later."""
    for route in (False, True):
        configure(ingress__tcpRoute=route)
        statuses = [sandbox.http("GET", "/v2/", login=True)[0] for _ in range(20)]
        assert set(statuses) == {200}


def test_only_tls_1_2_and_newer_is_spoken(sandbox: Sandbox) -> None:
    def handshake(version: str, *, fails: bool = False) -> str:
        return sandbox.run(
            "openssl", "s_client", f"-{version}", "-cipher", "DEFAULT@SECLEVEL=0",
            "-connect", f"{sandbox.registry}:443", "-servername", sandbox.registry, fails=fails,
        ).stderr  # fmt: skip

    handshake("tls1_2")
    for version in ("tls1", "tls1_1"):
        assert "alert protocol version" in handshake(version, fails=True)


def test_no_client_is_offered_http_2(sandbox: Sandbox) -> None:
    """The auth proxy does not speak it."""
    which = ("-connect", f"{sandbox.registry}:443", "-servername", sandbox.registry)
    shown = sandbox.run("openssl", "s_client", "-alpn", "h2,http/1.1", *which).stdout
    assert "ALPN protocol: http/1.1" in shown


def test_every_response_tells_browsers_to_stay_with_tls(
    sandbox: Sandbox, ssl_context: ssl.SSLContext
) -> None:
    for method in ("GET", "POST"):
        _, headers = send(f"https://{sandbox.registry}/v2/", method, ssl_context=ssl_context)
        assert headers["Strict-Transport-Security"] == "max-age=31536000"


def test_plain_http_never_asks_for_a_password(sandbox: Sandbox) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        status, headers = send(f"http://{sandbox.registry}/v2/", method)
        assert (status, headers["Www-Authenticate"]) == (308, None)
        assert headers["Location"] == f"https://{sandbox.registry}/v2/"


def test_a_client_without_a_certificate_is_refused_where_one_is_wanted(
    sandbox: Sandbox, configure: Callable[..., None], ssl_context: ssl.SSLContext
) -> None:
    authority = sandbox.layout.pki / "ca.crt"
    configure(tls__clientCa=authority.read_text())
    url = f"https://{sandbox.registry}/v2/"

    def refused() -> bool:
        try:
            send(url, ssl_context=ssl_context)
        except OSError as error:
            return "certificate required" in str(error)
        return False

    eventually("a client without certificate is refused", refused)
    known = ssl.create_default_context(cafile=str(authority))
    known.load_cert_chain(*pki.issue(sandbox.layout.pki, "client"))
    assert send(url, login=f"admin:{sandbox.password}", ssl_context=known)[0] == 200
    assert send(url, ssl_context=known)[0] == 401, "a certificate does not replace a login"
    certificate, key = pki.issue(sandbox.layout.pki, "client")
    test = [
        *(sys.executable, "-m", "scripts.client.smoke_test", f"https://{sandbox.registry}"),
        *("--username=admin", "--password-file=-", f"--cert={certificate}", f"--key={key}"),
    ]
    assert "passed" in sandbox.run(*test, stdin=sandbox.password).stdout


@pytest.fixture(scope="module")
def cert_manager_runs(sandbox: Sandbox) -> Iterator[None]:
    with cert_manager(sandbox):
        yield


@pytest.fixture
def issued(sandbox: Sandbox) -> Iterator[None]:
    """Delete the certificate at the end, or cert-manager would go on to get it."""
    yield
    which = ("certificate/issued", "secret/issued", "--namespace=registry")
    sandbox.kubectl("delete", *which, "--ignore-not-found")


@pytest.mark.usefixtures("cert_manager_runs", "issued")
@pytest.mark.parametrize("issuer", [CA_ISSUER, pytest.param(ACME_ISSUER, marks=pytest.mark.long)])
def test_cert_manager_gets_the_certificate(
    sandbox: Sandbox, configure: Callable[..., None], issuer: str
) -> None:
    configure(tls__mode="certManager", tls__issuer=issuer, tls__secretName="issued")
    wait = ("wait", "--namespace=registry", "certificate/issued")
    sandbox.kubectl(*wait, "--for=create", "--timeout=60s")
    sandbox.kubectl(*wait, "--for=condition=Ready", "--timeout=90s")
    issued = sandbox.secret("issued")["tls.crt"]
    # Traefik refuses handshakes while it has none.
    served = partial(ssl.get_server_certificate, (sandbox.registry, 443), timeout=10)
    eventually("the certificate is served", lambda: served() in issued)


def test_without_tls_the_same_holds_over_plain_http(
    sandbox: Sandbox, configure: Callable[..., None], pull_password: str
) -> None:
    configure(tls__mode="none")
    url, pull = f"http://{sandbox.registry}/v2/", f"pull:{pull_password}"
    eventually("it is served", lambda: send(url, login=pull)[0] == 200)
    uploads = f"{url}a/blobs/uploads/"
    admin = f"admin:{sandbox.password}"
    eventually("the admin may push", lambda: send(uploads, "POST", login=admin)[0] == 202)
    assert send(uploads, "POST", login=pull)[0] == 403
    eventually(
        "plain HTTP does not speak of TLS",
        lambda: "Strict-Transport-Security" not in send(url)[1],
        seconds=120,
    )


def wait_for_registry(sandbox: Sandbox) -> None:
    """Wait until a Traefik that restarts serves the registry."""
    sandbox.kubectl("rollout", "status", "deployment/traefik", "--namespace=kube-system")
    eventually("the registry is served", lambda: sandbox.http("GET", "/v2/")[0] == 401)


@pytest.fixture
def forgotten(sandbox: Sandbox) -> Iterator[None]:
    """Make Traefik forget a certificate at the end: it would serve it together with the others."""
    yield
    sandbox.kubectl("rollout", "restart", "deployment/traefik", "--namespace=kube-system")
    wait_for_registry(sandbox)


def acme_root(sandbox: Sandbox, ssl_context: ssl.SSLContext) -> str:
    """Return the certificate, in PEM, that signs what the ACME server issues."""
    url = f"https://{sandbox.layout.acme_host}:15000/roots/0"
    with urllib.request.urlopen(url, context=ssl_context) as response:
        return str(response.read().decode())


def acme_trust(sandbox: Sandbox, ssl_context: ssl.SSLContext) -> ssl.SSLContext:
    """Return a context that trusts what the ACME server issues, and nothing else."""
    return ssl.create_default_context(cadata=acme_root(sandbox, ssl_context))


def serves(sandbox: Sandbox, trust: ssl.SSLContext) -> bool:
    """Return whether the registry asks for a login, with a certificate that is trusted."""
    return send(f"https://{sandbox.registry}/v2/", ssl_context=trust)[0] == 401


@pytest.mark.usefixtures("forgotten")
def test_acme_gets_a_certificate_after_the_server_has_validated_the_name(
    sandbox: Sandbox, configure: Callable[..., None], ssl_context: ssl.SSLContext
) -> None:
    configure(tls__mode="acme")
    trust = acme_trust(sandbox, ssl_context)
    eventually("the certificate is served", lambda: serves(sandbox, trust))
