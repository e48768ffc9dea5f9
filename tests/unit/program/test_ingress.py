"""What leads clients to the registry: who terminates TLS, and what is on which port."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.program.conftest import CONFIG, Run
from tests.unit.program.engine import Engine
from tests.unit.program.modes import MODES, PEM

ROUTER = "traefik.ingress.kubernetes.io/router"
TLS_MODES: dict[str, dict[str, Any]] = {
    "secret": {"mode": "secret"},
    "acme": {"mode": "acme"},
    "certManager": {"mode": "certManager", "issuer": "letsencrypt"},
}


def run_with(run: Run, mode: str, **ingress: Any) -> Engine:
    return run({**CONFIG, "tls": TLS_MODES[mode], "ingress": ingress})


def annotated(engine: Engine) -> dict[str, str]:
    annotations: dict[str, str] = engine.inputs("ingress-ingress")["metadata"]["annotations"]
    return annotations


def backend_port(engine: Engine) -> str:
    (rule,) = engine.inputs("ingress-ingress")["spec"]["rules"]
    return str(rule["http"]["paths"][0]["backend"]["service"]["port"]["name"])


@pytest.mark.parametrize("mode", TLS_MODES)
def test_port_443_is_the_tcp_routes_and_port_80_never_asks_for_a_password(
    run: Run, mode: str
) -> None:
    engine = run_with(run, mode)
    route = engine.inputs("ingress-tcp-route")["spec"]
    assert route["entryPoints"] == ["websecure"]
    assert route["routes"][0]["match"] == f"HostSNI(`{CONFIG['hostname']}`)"
    assert annotated(engine)[f"{ROUTER}.entrypoints"] == "web", "it would win over the TCP route"
    assert f"{ROUTER}.tls" not in annotated(engine), "it would win over the TCP route"
    assert backend_port(engine) == "redirect"


def test_no_longer_rule_of_somebody_else_wins_over_the_registrys(run: Run) -> None:
    priority = 2**31 - 1001
    engine = run_with(run, "secret")
    assert engine.inputs("ingress-tcp-route")["spec"]["routes"][0]["priority"] == priority
    assert f"{ROUTER}.priority" not in annotated(engine), "cert-manager's challenges must win here"
    assert annotated(run_with(run, "secret", tcpRoute=False))[f"{ROUTER}.priority"] == str(priority)
    assert annotated(run({**CONFIG, "tls": {"mode": "none"}}))[f"{ROUTER}.priority"] == str(
        priority
    )


def test_what_a_wildcard_takes_from_the_tcp_route_gets_to_the_registry(run: Run) -> None:
    spec = run_with(run, "secret").inputs("ingress-guard")["spec"]
    (rule,) = spec["routes"]
    assert spec["entryPoints"] == ["websecure"]
    assert spec["tls"] == {}, "else there would be no TLS, or the default certificate resolver"
    assert rule["match"].startswith(r"HostRegexp(`^registry\.example\.com$`) || "), "no Host"
    assert rule["match"].endswith(f"Host(`{CONFIG['hostname']}.invalid`)"), "not for all names"
    assert rule["services"] == [{"name": "registry", "port": "http"}]
    assert rule["priority"] == 2**31 - 1001


def test_nobody_gets_around_client_certificates_by_a_wildcard(run: Run) -> None:
    engine = run({**CONFIG, "tls": {"clientCa": PEM}})
    (rule,) = engine.inputs("ingress-guard")["spec"]["routes"]
    assert rule["services"] == [{"kind": "TraefikService", "name": "noop@internal"}]


@pytest.mark.parametrize("mode", TLS_MODES)
def test_without_the_tcp_route_the_ingress_has_port_443(run: Run, mode: str) -> None:
    engine = run_with(run, mode, tcpRoute=False)
    assert "ingress-tcp-route" not in engine.resources
    assert annotated(engine)[f"{ROUTER}.entrypoints"] == "websecure"
    assert annotated(engine)[f"{ROUTER}.tls.options"] == "registry-registry@kubernetescrd"
    assert backend_port(engine) == "http"


GATEWAY: dict[str, Any] = {**CONFIG, **MODES["ingress-gateway"]}


def test_a_route_attaches_to_the_one_listener_and_needs_nothing_of_traefiks(run: Run) -> None:
    """Without the listener's name it would attach to the one of port 80, too: in plaintext."""
    engine = run(GATEWAY)
    spec = engine.inputs("ingress-gateway-route")["spec"]
    (parent,) = spec["parentRefs"]
    assert (parent["namespace"], parent["name"], parent["sectionName"]) == (
        *("gateways", "public", "https"),
    )
    assert spec["hostnames"] == [CONFIG["hostname"]]
    (rule,) = spec["rules"]
    assert rule["timeouts"] == {"request": "0s"}, "a layer takes what it takes"
    assert "ingress-ingress" not in engine.resources
    assert not [kind for kind in engine.types() if "traefik" in kind]


def test_a_route_leads_to_a_port_that_the_service_has(run: Run) -> None:
    """Routes know no names of ports."""
    engine = run(GATEWAY)
    (rule,) = engine.inputs("ingress-gateway-route")["spec"]["rules"]
    ports = {x["name"]: x["port"] for x in engine.inputs("registry-service")["spec"]["ports"]}
    assert rule["backendRefs"][0]["port"] == ports["http"]
    assert rule["backendRefs"][0]["name"] == "registry"


def test_proxied_clients_are_told_by_the_protocol_that_their_way_has(run: Run) -> None:
    def config(**ingress: Any) -> str:
        secret = run_with(run, "secret", **ingress).inputs("registry-auth-proxy")
        return str(secret["stringData"]["caddy.json"])

    assert "proxy_protocol" in config()
    assert "trusted_proxies" not in config(), "a client could write any address into a header"
    assert "proxy_protocol" not in config(tcpRoute=False)
    assert "trusted_proxies" in config(tcpRoute=False)
