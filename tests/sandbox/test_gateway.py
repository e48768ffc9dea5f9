"""The registry behind a Gateway: Traefik's, with a listener of somebody else's."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator

import pytest

from sandbox import pki
from sandbox.build import toolchain
from sandbox.k3s.rbac import allow, cluster_role
from tests.pinned_tools import GATEWAY_CRDS
from tests.sandbox.clients import send
from tests.sandbox.helpers import Sandbox, define_kinds, eventually
from tests.sandbox.test_configured_traefik import traefik
from tests.sandbox.test_ingress import configure

__all__ = ["configure", "traefik"]

GROUP = "gateway.networking.k8s.io"
NAMES = {"name": "public", "namespace": "kube-system"}
KINDS = "gatewayclasses gateways httproutes grpcroutes tlsroutes referencegrants backendtlspolicies"
"""https://github.com/traefik/traefik/blob/v3.7.13/docs/content/reference/dynamic-configuration/kubernetes-gateway-rbac.yml"""


@pytest.fixture
def gateway(sandbox: Sandbox, traefik: Callable[..., None]) -> Iterator[None]:
    """Create a Gateway with a listener for TLS and one without."""
    toolchain.build(sandbox.layout.tools, [], GATEWAY_CRDS)
    crds = [sandbox.layout.tools / copy.name for copy in GATEWAY_CRDS]
    certificate, key = pki.issue(sandbox.layout.pki, sandbox.registry)
    api = {"apiVersion": f"{GROUP}/v1"}
    rules = [
        allow("list watch", "", "namespaces"),
        allow("get list watch", GROUP, *KINDS.split()),
        allow("update", GROUP, *(f"{kind}/status" for kind in KINDS.split())),
    ]
    account = {"kind": "ServiceAccount", "name": "traefik", "namespace": "kube-system"}
    anybodys = {"namespaces": {"from": "All"}}
    tls = {"mode": "Terminate", "certificateRefs": [{"name": "public"}]}
    role = cluster_role("traefik-gateway", rules, account)
    try:
        define_kinds(sandbox, crds)
        sandbox.apply(
            *role,
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": NAMES,
                "type": "kubernetes.io/tls",
                "stringData": {"tls.crt": certificate.read_text(), "tls.key": key.read_text()},
            },
            {
                **api,
                "kind": "GatewayClass",
                "metadata": {"name": "traefik"},
                "spec": {"controllerName": "traefik.io/gateway-controller"},
            },
            {
                **api,
                "kind": "Gateway",
                "metadata": NAMES,
                "spec": {
                    "gatewayClassName": "traefik",
                    "listeners": [
                        # Of Traefik's entry points, not of its Service.
                        {"name": "http", "protocol": "HTTP", "port": 8000}
                        | {"allowedRoutes": anybodys},
                        {"name": "https", "protocol": "HTTPS", "port": 8443, "tls": tls}
                        | {"allowedRoutes": anybodys},
                    ],
                },
            },
        )
        traefik("--providers.kubernetesgateway=true")
        yield
    finally:
        sandbox.kubectl("delete", "secret/public", "--namespace=kube-system")
        for x in role:
            sandbox.kubectl("delete", x["kind"], "traefik-gateway")
        sandbox.kubectl("delete", *(f"--filename={file}" for file in crds))


@pytest.mark.usefixtures("gateway")
def test_the_registry_is_served_by_the_listener_with_tls_and_by_no_other(
    sandbox: Sandbox, configure: Callable[..., None], ssl_context: ssl.SSLContext
) -> None:
    configure(
        tls__mode="none",
        ingress__controller="gateway",
        ingress__gateway="kube-system/public/https",
        ingress__controllerNamespace="kube-system",
        # As some controllers of Gateways need it; pods' addresses are admitted by it, too.
        ingress__hostNetwork=True,
    )
    url = f"{sandbox.registry}/v2/"
    eventually(
        "the route is served",
        lambda: send(f"https://{url}", ssl_context=ssl_context)[0] == 401,
    )
    # Traefik may know of the new route before it knows that the one of before is gone: 502.
    eventually("port 80 has no route", lambda: send(f"http://{url}")[0] != 502)
    status, headers = send(f"http://{url}")
    assert (status, headers["Www-Authenticate"]) == (404, None), "a password would be in plaintext"
    (route,) = sandbox.get("httproutes", "--namespace=registry")["items"]
    (parent,) = route["status"]["parents"]
    conditions = {x["type"]: x["status"] for x in parent["conditions"]}
    assert conditions == {"Accepted": "True", "ResolvedRefs": "True"}
    assert not sandbox.get("ingresses", "--namespace=registry")["items"]
    test = ("python3", "-m", "scripts.client.smoke_test", f"https://{sandbox.registry}")
    login = ("--username=admin", "--password-file=-")
    assert "passed" in sandbox.run(*test, *login, stdin=sandbox.password).stdout
    sandbox.pulumi("up", "--yes", "--expect-no-changes")
