"""Who else leads the hostname somewhere, as Traefik's rules say it."""

from __future__ import annotations

from typing import Any

import pytest

from preflight import routers
from settings import Settings
from settings.names import ROUTE_PRIORITY
from tests.unit.program.modes import MODES, PEM

HOSTNAME = "registry.example.com"
WILDCARD = "*.example.com"
SETTINGS = Settings.model_validate({"hostname": HOSTNAME})
ROUTER = "traefik.ingress.kubernetes.io/router"


def ingress(host: str | None, namespace: str = "shop", **annotations: str) -> dict[str, Any]:
    keys = {f"{ROUTER}.{key}": value for key, value in annotations.items()}
    metadata = {"name": "web", "namespace": namespace, "annotations": keys}
    return {"metadata": metadata, "spec": {"rules": [{"host": host} if host else {}]}}


def route(
    match: str, kind: str = "IngressRoute", namespace: str = "shop", **more: object
) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": namespace}
    return {"kind": kind, "metadata": metadata, "spec": {"routes": [{"match": match, **more}]}}


def served(*items: dict[str, Any]) -> list[routers.Served]:
    of = routers.of_routes if "kind" in items[0] else routers.of_ingresses
    return routers.served(SETTINGS, of(SETTINGS, items))


def warnings(item: dict[str, Any], **settings: object) -> list[str]:
    all_settings = Settings.model_validate({"hostname": HOSTNAME, **settings})
    of = routers.of_routes if "kind" in item else routers.of_ingresses
    return routers.warnings(all_settings, of(all_settings, [item]))


def test_a_host_that_another_ingress_serves_is_refused_with_its_name() -> None:
    (item,) = served(ingress(None), ingress("a.b"), ingress(HOSTNAME))
    assert item.namespace == "shop"
    problem = item.problem
    assert (problem.key, problem.value) == ("hostname", f'"{HOSTNAME}"')
    assert "the Ingress shop/web serves this hostname already" in problem.expected


def test_an_ingress_for_all_hosts_has_no_rules_and_is_in_nobodys_way() -> None:
    everything = {**ingress(None), "spec": {}}
    assert not served(everything)
    assert not warnings(everything)
    assert not warnings(ingress(None))


def test_what_is_in_the_registrys_namespace_is_its_own() -> None:
    assert not served(ingress(HOSTNAME, "registry", priority=str(ROUTE_PRIORITY)))
    own = route(f"Host(`{HOSTNAME}`)", namespace="registry", priority=ROUTE_PRIORITY)
    assert not served(own)
    assert not warnings(own)


@pytest.mark.parametrize(
    "match",
    [
        f"Host(`{HOSTNAME}`)",
        f"Host(`a.b`) || (Host(`c.d`, `{HOSTNAME}`) && PathPrefix(`/v2`))",
        f'Host("{HOSTNAME.upper()}")',
        f"HostSNI(`{HOSTNAME}`)",
        f"!Host(`a.b`) && hostsni( `{HOSTNAME}` )",
        f"HOST(`{HOSTNAME}`)",
    ],
)
def test_a_host_that_another_route_leads_elsewhere_is_refused(match: str) -> None:
    (item,) = served(route(match, "IngressRouteTCP"))
    assert "the IngressRouteTCP shop/web serves" in item.problem.expected


def test_a_route_with_two_rules_for_the_host_is_refused_once() -> None:
    twice = route(f"Host(`{HOSTNAME}`)")
    twice["spec"]["routes"] *= 2
    assert len(served(twice)) == 1


@pytest.mark.parametrize(
    "match",
    [
        f"Host(`x.{HOSTNAME}`)",
        f"PathPrefix(`{HOSTNAME}`)",
        f"HostHeader(`{HOSTNAME}`)",
        f"! Host(`{HOSTNAME}`)",
        "HostRegexp(`.+`)",
        "",
    ],
)
def test_other_routes_are_in_nobodys_way(match: str) -> None:
    assert not served(route(match))
    assert not warnings(route(match))


@pytest.mark.parametrize(
    "item",
    [
        ingress(WILDCARD),
        ingress(WILDCARD, entrypoints="web,websecure"),
        ingress(WILDCARD, "registry"),
        route(f"Host(`{WILDCARD}`)"),
        route(f"Host(`a.b`) || Host(`{WILDCARD.upper()}`) && PathPrefix(`/`)", priority=1),
    ],
)
def test_a_wildcard_on_port_443_is_told(item: dict[str, Any]) -> None:
    """From Traefik 3.7 on it takes the connection from a TCP route, whatever that route says."""
    (warning,) = warnings(item)
    assert f"serves {WILDCARD} on port 443" in warning
    assert "more than 60 s are cut" in warning


@pytest.mark.parametrize("mode", [{"ingress": {"tcpRoute": False}}, {"tls": {"mode": "none"}}])
def test_a_wildcard_takes_nothing_where_there_is_no_tcp_route(mode: dict[str, Any]) -> None:
    assert not warnings(ingress(WILDCARD), **mode)


@pytest.mark.parametrize(
    "item",
    [
        ingress(WILDCARD, entrypoints="web"),
        ingress(WILDCARD, rulesyntax="v2"),
        ingress("*.com"),
        ingress("*.b.example.com"),
        {**ingress(WILDCARD), "spec": {"rules": [{"host": WILDCARD}], "ingressClassName": "nginx"}},
        route(f"Host(`{WILDCARD}`)", syntax="v2"),
        route(f"HostSNI(`{WILDCARD}`)", "IngressRouteTCP"),
        {
            **route(""),
            "spec": {"entryPoints": ["web"], "routes": [{"match": f"Host(`{WILDCARD}`)"}]},
        },
    ],
)
def test_a_wildcard_that_leaves_the_connection_to_the_tcp_route_is_not_told(
    item: dict[str, Any],
) -> None:
    assert not warnings(item)


def test_the_fix_of_an_ingress_is_a_command_and_of_a_route_another_rule() -> None:
    (warning,) = warnings(ingress(WILDCARD))
    assert warning.endswith(f"kubectl --namespace shop annotate ingress web {ROUTER}.rulesyntax=v2")
    (warning,) = warnings(route(f"Host(`{WILDCARD}`)"))
    assert r"write HostRegexp(`^[^.]+\.example\.com$`) in it" in warning


def test_with_client_certificates_a_wildcard_lets_nobody_in() -> None:
    (warning,) = warnings(ingress(WILDCARD), tls={"clientCa": PEM})
    assert "no client reaches the registry (status 418)" in warning


@pytest.mark.parametrize(
    "item",
    [
        ingress(WILDCARD, entrypoints="web", priority=str(ROUTE_PRIORITY)),
        ingress(None, priority=str(ROUTE_PRIORITY)),
        route("PathPrefix(`/`)", priority=ROUTE_PRIORITY),
        route("HostRegexp(`^.+[.]example[.](com|org)$`)", priority=ROUTE_PRIORITY),
        route(r'HostRegexp("^.+\\.example\\.com$")', priority=ROUTE_PRIORITY),
        route(r"HostRegexp(`^registry\.example\.com$`)", priority=ROUTE_PRIORITY),
        route("HostSNIRegexp(`[[:alpha:]]`)", "IngressRouteTCP", priority=ROUTE_PRIORITY + 1),
        route("HostSNI(`*`)", "IngressRouteTCP", priority=ROUTE_PRIORITY),
    ],
)
def test_a_priority_as_high_as_the_registrys_is_told(item: dict[str, Any]) -> None:
    (warning,) = warnings(item)
    assert "shop/web has the priority" in warning
    assert "give it a lower one" in warning


@pytest.mark.parametrize(
    "item",
    [
        ingress(None, priority=str(ROUTE_PRIORITY - 1)),
        ingress("other.example.com", priority=str(ROUTE_PRIORITY)),
        ingress(None, priority="high"),
        route("HostSNI(`*`)", "IngressRouteTCP", priority=ROUTE_PRIORITY - 1),
        # What another registry of this program's has:
        route(
            r"HostRegexp(`^other\.example\.com$`) || Host(`other.example.com.invalid`)",
            priority=ROUTE_PRIORITY,
        ),
    ],
)
def test_a_lower_priority_or_another_host_is_in_nobodys_way(item: dict[str, Any]) -> None:
    assert not warnings(item)


def test_priorities_are_traefiks() -> None:
    item = ingress(WILDCARD, priority=str(ROUTE_PRIORITY))
    assert warnings(item)
    assert not warnings(item, **MODES["ingress-gateway"])
