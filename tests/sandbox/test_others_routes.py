"""What somebody else's Ingresses and routes take from the registry, in the Traefik that k3s has."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from sandbox.build.images import IMAGES
from tests.sandbox.clients import send
from tests.sandbox.helpers import Sandbox, eventually
from tests.sandbox.older_traefik import older_traefik

ROUTER = "traefik.ingress.kubernetes.io/router"
PRIORITY = 2**31 - 1001
"""That of the registry's routes."""

SINCE_3_7 = pytest.mark.parametrize("each_traefik", ["3.7"], indirect=True)
"""What an older Traefik does not do."""


@pytest.fixture(scope="module", params=["3.7", pytest.param("3.6", marks=pytest.mark.long)])
def each_traefik(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[None]:
    """Run what k3s has, and what it had before; between them Traefik's decisions changed."""
    with older_traefik(sandbox) if request.param == "3.6" else nullcontext():
        yield


@pytest.fixture(scope="module")
def backend(sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    """Run somebody else's server: it tells its name to everybody, at every path."""
    metadata = {"name": "others", "namespace": "default", "labels": {"app": "others"}}
    container = {
        "name": "main",
        "image": IMAGES["whoami"].ref,
        "imagePullPolicy": "Never",
        "ports": [{"containerPort": 8080}],
    }
    pod = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    service = {"selector": {"app": "others"}, "ports": [{"port": 80, "targetPort": 8080}]}
    sandbox.apply(
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
    )
    sandbox.kubectl("wait", "--for=condition=Ready", "pod/others")
    yield metadata
    sandbox.kubectl("delete", "pod,service", "others")


@pytest.fixture
def apply(sandbox: Sandbox, backend: dict[str, Any]) -> Iterator[Callable[..., None]]:
    """Return a function that creates somebody else's route; deleted at the end."""
    kinds = set()

    def create(kind: str, spec: dict[str, Any], **annotations: str) -> None:
        version = "networking.k8s.io/v1" if kind == "Ingress" else "traefik.io/v1alpha1"
        metadata = {
            **backend,
            "annotations": {f"{ROUTER}.{x}": annotations[x] for x in annotations},
        }
        kinds.add(kind)
        sandbox.apply({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})

    yield create
    for kind in kinds:
        sandbox.kubectl("delete", kind, "others", "--ignore-not-found")
    eventually("nobody else serves the domain", lambda: "Hostname" not in others(sandbox))


def ingress(sandbox: Sandbox, *hosts: str) -> dict[str, Any]:
    backend = {"service": {"name": "others", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    rules = [{"host": f"{x}.{sandbox.layout.domain}", "http": {"paths": paths}} for x in hosts]
    return {"ingressClassName": "traefik", "rules": rules}


def route(match: str, **more: object) -> dict[str, Any]:
    services = [{"name": "others", "port": 80}]
    return {
        "entryPoints": ["websecure"],
        "routes": [{"match": match, "services": services, **more}],
        "tls": {},
    }


def others(sandbox: Sandbox) -> str:
    """Return what another host of the domain responds over TLS."""
    command = ("curl", "--silent", "--insecure", "--http1.1", "--connect-to")
    way = f"::{sandbox.registry}:443"
    return sandbox.run(*command, way, f"https://others.{sandbox.layout.domain}/").stdout


def in_force(sandbox: Sandbox) -> None:
    """Wait until Traefik knows somebody else's route."""
    eventually("others are served", lambda: "Hostname: others" in others(sandbox))


def asks_for_a_login(sandbox: Sandbox, ssl_context: ssl.SSLContext) -> bool:
    """Return whether the registry is what responds, by both of HTTP's versions."""
    status, headers = send(f"https://{sandbox.registry}/v2/", ssl_context=ssl_context)
    authority = str(sandbox.layout.pki / "ca.crt")
    http_2 = sandbox.run(
        "curl", "--silent", "--cacert", authority, f"https://{sandbox.registry}/v2/"
    )
    return (
        status == 401
        and headers["WWW-Authenticate"] == 'Basic realm="registry"'
        and "authentication required" in http_2.stdout
    )


@pytest.mark.usefixtures("each_traefik")
def test_a_push_through_a_wildcards_port_gets_to_the_registry(
    sandbox: Sandbox, apply: Callable[..., None], ssl_context: ssl.SSLContext
) -> None:
    """From Traefik 3.7 on the wildcard's connections are HTTP's, whatever the TCP route says."""
    apply("Ingress", ingress(sandbox, "*"))
    in_force(sandbox)
    assert asks_for_a_login(sandbox, ssl_context)
    source = f"oci-archive:{sandbox.layout.tools}/images/whoami.tar"
    image = f"docker://{sandbox.registry}/others/whoami:1"
    credentials = f"admin:{sandbox.password}"
    sandbox.run("skopeo", "copy", f"--dest-creds={credentials}", source, image)
    sandbox.run("skopeo", "inspect", f"--creds={credentials}", image)
    warning = (
        f"the Ingress default/others serves *.{sandbox.layout.domain} on port 443; from Traefik "
        f"3.7 on that goes before the TCP route of {sandbox.registry}"
    )
    assert warning in sandbox.pulumi("preview").stdout
    (line,) = sandbox.run("python3", "-m", "scripts.client.doctor", fails=True).stdout.splitlines()
    assert line.startswith(warning)
    sandbox.run("sh", "-ec", line.partition("; fix: ")[2])
    assert warning not in sandbox.pulumi("preview").stdout


@pytest.fixture
def unguarded(sandbox: Sandbox) -> Iterator[None]:
    """Take the route away that gets what others take from the TCP route."""
    sandbox.kubectl("delete", "ingressroute/registry", "--namespace=registry")
    yield
    sandbox.pulumi("up", "--refresh", "--yes", "--skip-preview")


@SINCE_3_7
@pytest.mark.usefixtures("each_traefik", "unguarded")
def test_the_proposed_fix_gives_the_connection_back_to_the_tcp_route(
    sandbox: Sandbox, apply: Callable[..., None], ssl_context: ssl.SSLContext
) -> None:
    def taken() -> bool:
        return send(f"https://{sandbox.registry}/v2/", ssl_context=ssl_context)[0] == 200

    apply("Ingress", ingress(sandbox, "*"))
    eventually("a wildcard takes the registry's host", taken)
    annotate = ("kubectl", "annotate", "ingress", "others")
    sandbox.run(*annotate, f"{ROUTER}.rulesyntax=v2")
    eventually("the registry is back", lambda: asks_for_a_login(sandbox, ssl_context))
    assert "Hostname: others" in others(sandbox), "the wildcard serves all other hosts"
    sandbox.kubectl("delete", "ingress", "others")
    wildcard = sandbox.layout.domain.replace(".", r"\.")
    apply("IngressRoute", route(f"Host(`*.{sandbox.layout.domain}`)"))
    eventually("a wildcard takes the registry's host", taken)
    apply("IngressRoute", route(rf"HostRegexp(`^[^.]+\.{wildcard}$`)"))
    eventually("the registry is back", lambda: asks_for_a_login(sandbox, ssl_context))
    assert "Hostname: others" in others(sandbox), "it serves all other hosts"


def keeps_the_password(
    sandbox: Sandbox,
    apply: Callable[..., None],
    ssl_context: ssl.SSLContext,
    kind: str,
    match: str,
) -> bool:
    """Return whether the registry responds beside a route of a lower priority."""
    rule = match.format(domain=sandbox.layout.domain, registry=sandbox.registry)
    apply(kind, route(rule, priority=PRIORITY - 1))
    in_force(sandbox)
    return asks_for_a_login(sandbox, ssl_context)


@pytest.mark.usefixtures("each_traefik")
@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("IngressRoute", "Host(`{registry}`) || Host(`others.{domain}`)"),
        ("IngressRoute", "HostRegexp(`^.+$`)"),
        ("IngressRoute", "PathPrefix(`/`)"),
        ("IngressRouteTCP", "HostSNIRegexp(`^.+$`)"),
        ("IngressRouteTCP", "HostSNI(`*`)"),
        ("IngressRouteTCP", "HostSNI(`{registry}`) || HostSNI(`others.{domain}`)"),
    ],
)
def test_no_route_with_a_lower_priority_gets_a_password(
    sandbox: Sandbox,
    apply: Callable[..., None],
    ssl_context: ssl.SSLContext,
    kind: str,
    match: str,
) -> None:
    assert keeps_the_password(sandbox, apply, ssl_context, kind, match)


@SINCE_3_7
@pytest.mark.usefixtures("each_traefik")
@pytest.mark.parametrize(
    ("kind", "match"),
    [("IngressRoute", "Host(`*.{domain}`)"), ("IngressRouteTCP", "HostSNI(`*.{domain}`)")],
)
def test_no_wildcard_with_a_lower_priority_gets_a_password(
    sandbox: Sandbox,
    apply: Callable[..., None],
    ssl_context: ssl.SSLContext,
    kind: str,
    match: str,
) -> None:
    """Before Traefik 3.7 these are no wildcards: nobody is served."""
    assert keeps_the_password(sandbox, apply, ssl_context, kind, match)


@pytest.mark.usefixtures("each_traefik")
@pytest.mark.parametrize("kind", ["IngressRoute", "IngressRouteTCP"])
def test_a_route_for_all_hosts_keeps_what_nobody_else_has(
    sandbox: Sandbox, apply: Callable[..., None], kind: str
) -> None:
    """The registry's own route of a regular expression must not be one for all hosts, too."""
    apply(kind, route("HostSNI(`*`)" if kind == "IngressRouteTCP" else "PathPrefix(`/`)"))
    in_force(sandbox)


@pytest.mark.usefixtures("each_traefik")
def test_a_higher_priority_is_told(sandbox: Sandbox, apply: Callable[..., None]) -> None:
    apply("IngressRouteTCP", route("HostSNIRegexp(`^others[.]`)", priority=PRIORITY + 1))
    output = sandbox.pulumi("preview").stdout
    assert f"IngressRouteTCP default/others has the priority {PRIORITY + 1}" in output
    in_force(sandbox)


@SINCE_3_7
@pytest.mark.usefixtures("each_traefik")
def test_nobody_gets_around_a_client_certificate_by_a_wildcard(
    sandbox: Sandbox, apply: Callable[..., None], ssl_context: ssl.SSLContext
) -> None:
    sandbox.config(tls__clientCa=(sandbox.layout.pki / "ca.crt").read_text())
    try:
        sandbox.pulumi("up", "--yes", "--skip-preview")
        apply("Ingress", ingress(sandbox, "*"))
        in_force(sandbox)
        eventually(
            "requests end in Traefik",
            lambda: send(f"https://{sandbox.registry}/v2/", ssl_context=ssl_context)[0] == 418,
        )
    finally:
        sandbox.pulumi("config", "rm", "--path", "tls")
        sandbox.pulumi("up", "--yes", "--skip-preview")


@pytest.mark.usefixtures("each_traefik")
def test_without_a_tcp_route_a_wildcard_takes_nothing(
    sandbox: Sandbox, apply: Callable[..., None], ssl_context: ssl.SSLContext
) -> None:
    sandbox.config(ingress__tcpRoute=False)
    try:
        sandbox.pulumi("up", "--yes", "--skip-preview")
        apply("Ingress", ingress(sandbox, "*"), priority=str(PRIORITY - 1))
        in_force(sandbox)
        # The Ingress in place of the TCP route may come later than the wildcard.
        eventually("it asks for a login", lambda: asks_for_a_login(sandbox, ssl_context))
        assert "on port 443" not in sandbox.pulumi("preview").stdout
    finally:
        sandbox.pulumi("config", "rm", "--path", "ingress")
        sandbox.pulumi("up", "--yes", "--skip-preview")
