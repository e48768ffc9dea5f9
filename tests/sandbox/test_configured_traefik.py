"""A Traefik that somebody has configured, as guides to k3s do it."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator

import pytest

from sandbox import pki
from tests.sandbox.cert_manager import ACME_ISSUER, cert_manager
from tests.sandbox.clients import send
from tests.sandbox.helpers import Sandbox, eventually
from tests.sandbox.test_ingress import acme_trust, serves, wait_for_registry

REDIRECT = (
    "--entryPoints.web.http.redirections.entryPoint.to=:443",
    "--entryPoints.web.http.redirections.entryPoint.scheme=https",
    "--entryPoints.web.http.redirections.entryPoint.permanent=true",
)
"""As the chart renders ``ports.web.http.redirections``."""

PRIORITY = "--entryPoints.web.http.redirections.entryPoint.priority=1"

OTHERS = (
    # A load balancer in front, which tells the client's address.
    "--entryPoints.websecure.proxyProtocol.trustedIPs=10.0.0.0/8",
    "--entryPoints.websecure.forwardedHeaders.trustedIPs=10.0.0.0/8",
    # For every host.
    "--entryPoints.websecure.http.middlewares=kube-system-guide@kubernetescrd",
    "--entryPoints.websecure.http.tls.certResolver=letsencrypt",
    "--accesslog=true",
)


@pytest.fixture
def traefik(sandbox: Sandbox) -> Iterator[Callable[..., None]]:
    """Return a function that starts Traefik with more arguments; undone at the end."""
    deployment = ("deployment/traefik", "--namespace=kube-system")
    path = "/spec/template/spec/containers/0/args"
    (container,) = sandbox.get(*deployment)["spec"]["template"]["spec"]["containers"]

    def start(*more: str) -> None:
        patch = [{"op": "replace", "path": path, "value": [*container["args"], *more]}]
        sandbox.kubectl("patch", *deployment, "--type=json", f"--patch={json.dumps(patch)}")
        sandbox.kubectl("rollout", "status", *deployment)

    yield start
    start()
    wait_for_registry(sandbox)


@pytest.fixture
def guide(sandbox: Sandbox) -> Iterator[None]:
    """Create what guides to k3s create: a middleware, a default certificate, the dashboard."""
    names = {"name": "guide", "namespace": "kube-system"}
    certificate, key = pki.issue(sandbox.layout.pki, f"*.{sandbox.layout.domain}")
    traefik = {"apiVersion": "traefik.io/v1alpha1"}
    dashboard = f"Host(`traefik.{sandbox.layout.domain}`)"
    sandbox.apply(
        {
            **traefik,
            "kind": "Middleware",
            "metadata": names,
            "spec": {"headers": {"customResponseHeaders": {"X-Guide": "1"}, "stsSeconds": 60}},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": names,
            "type": "kubernetes.io/tls",
            "stringData": {"tls.crt": certificate.read_text(), "tls.key": key.read_text()},
        },
        {
            **traefik,
            "kind": "TLSStore",
            "metadata": {"name": "default", "namespace": "kube-system"},
            "spec": {"defaultCertificate": {"secretName": "guide"}},
        },
        {
            **traefik,
            "kind": "IngressRoute",
            "metadata": names,
            "spec": {
                "entryPoints": ["websecure"],
                "routes": [
                    {
                        "match": dashboard,
                        "kind": "Rule",
                        "services": [{"name": "api@internal", "kind": "TraefikService"}],
                    }
                ],
                "tls": {},
            },
        },
    )
    yield
    which = ("middleware/guide", "secret/guide", "ingressroute/guide", "tlsstore/default")
    sandbox.kubectl("delete", *which, "--namespace=kube-system")


@pytest.mark.usefixtures("guide")
def test_the_registry_works_behind_a_traefik_that_is_configured_as_in_guides(
    sandbox: Sandbox, traefik: Callable[..., None], ssl_context: ssl.SSLContext
) -> None:
    traefik(*REDIRECT, *OTHERS)
    wait_for_registry(sandbox)
    dashboard = ("curl", "--silent", "--insecure", "--connect-to", f"::{sandbox.registry}:443")
    url = f"https://traefik.{sandbox.layout.domain}/dashboard/"
    eventually("the dashboard is served", lambda: "<title>" in sandbox.run(*dashboard, url).stdout)
    status, headers = send(f"https://{sandbox.registry}/v2/", ssl_context=ssl_context)
    assert (status, headers["X-Guide"]) == (401, None), "the connection is passed on"
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    status, headers = send(f"http://{sandbox.registry}/v2/")
    assert (status, headers["Www-Authenticate"]) == (301, None)
    test = ("python3", "-m", "scripts.client.smoke_test", f"https://{sandbox.registry}")
    login = ("--username=admin", "--password-file=-")
    assert "passed" in sandbox.run(*test, *login, stdin=sandbox.password).stdout


def applied(sandbox: Sandbox, *, fails: bool = False) -> str:
    """Run `pulumi up`, and return what it says once Traefik knows of the change."""
    up = ("up", "--yes", "--skip-preview")
    output = sandbox.pulumi(*up, fails=fails).stdout
    # Traefik collects changes for 2 s, for which it serves the certificate of before.
    return sandbox.pulumi(*up).stdout if "asks for a login" in output else output


@pytest.fixture
def lets_encrypt(sandbox: Sandbox) -> Iterator[Callable[..., str]]:
    """Return a function that applies `tls.mode letsEncrypt`; reverted at the end."""

    def apply(server: str = "", *, fails: bool = False) -> str:
        sandbox.config(
            tls__mode="letsEncrypt",
            tls__email="you@example.com",
            tls__caServer=server or sandbox.layout.acme_server,
            tls__caCertificates=(sandbox.layout.pki / "ca.crt").read_text(),
        )
        return applied(sandbox, fails=fails)

    yield apply
    sandbox.pulumi("config", "rm", "--path", "tls")
    sandbox.pulumi("up", "--yes", "--skip-preview")
    secret = ("secret", "registry-acme", "--namespace=registry")
    sandbox.kubectl("delete", *secret, "--ignore-not-found")


@pytest.mark.long
def test_behind_a_redirect_lets_encrypt_is_refused_and_the_proposed_setting_helps(
    sandbox: Sandbox,
    traefik: Callable[..., None],
    lets_encrypt: Callable[..., str],
    ssl_context: ssl.SSLContext,
) -> None:
    traefik(*REDIRECT)
    wait_for_registry(sandbox)
    refused = lets_encrypt(fails=True)
    assert "redirects all of port 80 to HTTPS before it looks at any Ingress" in refused
    assert f"HelmChartConfig: {PRIORITY}" in refused
    assert not sandbox.pods("acme-client")
    traefik(*REDIRECT, PRIORITY)
    wait_for_registry(sandbox)
    lets_encrypt()
    trust = acme_trust(sandbox, ssl_context)
    eventually("the certificate is served", lambda: serves(sandbox, trust), 180)


@pytest.fixture(scope="module")
def issuers(sandbox: Sandbox) -> Iterator[None]:
    with cert_manager(sandbox):
        yield


@pytest.fixture
def certificate_of(sandbox: Sandbox) -> Iterator[Callable[[str], str]]:
    """Return a function that applies `tls.mode certManager` with an issuer; reverted at the end."""

    def apply(issuer: str) -> str:
        sandbox.config(tls__mode="certManager", tls__issuer=issuer, tls__secretName="issued")
        return applied(sandbox)

    yield apply
    sandbox.pulumi("config", "rm", "--path", "tls")
    sandbox.pulumi("up", "--yes", "--skip-preview")
    which = ("certificate/issued", "secret/issued", "--namespace=registry")
    sandbox.kubectl("delete", *which, "--ignore-not-found")


@pytest.mark.long
@pytest.mark.usefixtures("issuers")
def test_of_cert_manager_behind_a_redirect_it_is_told_and_the_proposed_setting_helps(
    sandbox: Sandbox, traefik: Callable[..., None], certificate_of: Callable[[str], str]
) -> None:
    traefik(*REDIRECT)
    wait_for_registry(sandbox)
    told = certificate_of(ACME_ISSUER)
    assert 'tls.mode "certManager": Traefik redirects all of port 80 to HTTPS' in told
    assert "there is no certificate yet: " in told
    traefik(*REDIRECT, PRIORITY)
    wait = ("wait", "--namespace=registry", "certificate/issued")
    sandbox.kubectl(*wait, "--for=condition=Ready", "--timeout=180s")


@pytest.mark.long
@pytest.mark.usefixtures("issuers")
def test_what_cert_manager_waits_for_is_in_the_warning(
    certificate_of: Callable[[str], str],
) -> None:
    output = certificate_of("nobody")
    reason = output.partition("there is no certificate yet: ")[2].partition("\n")[0]
    assert "nobody" in reason
    assert "not found" in reason


def missing_certificate(sandbox: Sandbox) -> str:
    """Return what the doctor says of it."""
    output = sandbox.run("python3", "-m", "scripts.client.doctor", fails=True).stdout
    (line,) = [x for x in output.splitlines() if x.startswith("no certificate is served for ")]
    return line


@pytest.mark.long
def test_a_redirect_that_no_argument_tells_is_the_reason_in_the_warning_and_the_doctor(
    sandbox: Sandbox, lets_encrypt: Callable[..., str]
) -> None:
    names = {"name": "redirect", "namespace": "default"}
    version = {"apiVersion": "traefik.io/v1alpha1", "metadata": names}
    rule = {
        "match": "PathPrefix(`/`)",
        "kind": "Rule",
        "priority": 2**31,
        "middlewares": [{"name": "redirect"}],
        "services": [{"kind": "TraefikService", "name": "noop@internal"}],
    }
    sandbox.apply(
        {**version, "kind": "Middleware", "spec": {"redirectScheme": {"scheme": "https"}}},
        {**version, "kind": "IngressRoute", "spec": {"entryPoints": ["web"], "routes": [rule]}},
    )
    try:
        reason = (
            f"http://{sandbox.registry} redirects all to HTTPS, also an ACME server's challenge"
        )
        assert f"there is no certificate yet: {reason}" in lets_encrypt()
        assert reason in missing_certificate(sandbox)
    finally:
        sandbox.kubectl("delete", "ingressroute/redirect", "middleware/redirect")


@pytest.mark.long
def test_what_the_acme_server_says_is_in_the_warning_and_the_doctor(
    sandbox: Sandbox, lets_encrypt: Callable[..., str]
) -> None:
    output = lets_encrypt(f"{sandbox.layout.acme_server}/elsewhere")
    assert "there is no certificate yet: " in output
    assert "404" in output.partition("there is no certificate yet: ")[2].partition("\n")[0]
    assert "404" in missing_certificate(sandbox)
