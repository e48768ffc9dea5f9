"""What may reach the registry, and what it may reach; each rule with an object that breaks it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.unit.policy.analyzer import UNKNOWN, refused, refused_object, refused_stack, urn

ROUTER = "traefik.ingress.kubernetes.io/router"
TLS = [{"hosts": ["a.example.com"], "secretName": "tls"}]


def ingress(port: str, tls: object = None, /, **annotations: str) -> dict[str, Any]:
    backend = {"service": {"name": "registry", "port": {"name": port}}}
    rule = {"host": "a.example.com", "http": {"paths": [{"path": "/", "backend": backend}]}}
    return {
        "metadata": {"annotations": {f"{ROUTER}.{key}": x for key, x in annotations.items()}},
        "spec": {"tls": tls, "rules": [rule]},
    }


def challenge() -> dict[str, Any]:
    """Return an Ingress that only an ACME server asks."""
    inputs = ingress("http", entrypoints="web")
    inputs["spec"]["rules"][0]["http"]["paths"][0]["path"] = "/.well-known/acme-challenge"
    return inputs


@pytest.mark.parametrize(
    "inputs",
    [
        ingress("http", TLS),
        ingress("http", TLS, entrypoints="websecure"),
        ingress("http", tls="true", entrypoints="websecure"),
        ingress("redirect", entrypoints="web"),
        challenge(),
        ingress("http", UNKNOWN),
        ingress(UNKNOWN),
    ],
)
def test_an_ingress_passes_if_it_has_tls_or_redirects_to_it(inputs: dict[str, Any]) -> None:
    assert refused_object("Ingress", inputs) == {}


@pytest.mark.parametrize(
    "inputs",
    [
        ingress("http"),
        ingress("http", []),
        ingress("http", TLS, entrypoints="web"),
        ingress("http", tls="false", entrypoints="websecure"),
        ingress("http", TLS, entrypoints="web,websecure"),
        {"spec": {}},
        {"spec": {"defaultBackend": {"service": {"name": "a", "port": {"name": "http"}}}}},
    ],
)
def test_an_ingress_that_takes_passwords_without_tls_is_refused(inputs: dict[str, Any]) -> None:
    assert list(refused_object("Ingress", inputs)) == ["tls"]


def default(port: str) -> dict[str, Any]:
    return {"service": {"name": "registry", "port": {"name": port}}}


def test_the_default_backend_counts_like_the_others() -> None:
    assert refused_object("Ingress", {"spec": {"defaultBackend": default("redirect")}}) == {}
    both = ingress("redirect")
    both["spec"]["defaultBackend"] = default("http")
    assert list(refused_object("Ingress", both)) == ["tls"]


@pytest.mark.parametrize("harmless", [ingress("redirect"), challenge()])
def test_one_open_path_beside_a_harmless_one_is_refused(harmless: dict[str, Any]) -> None:
    both = deepcopy(harmless)
    both["spec"]["rules"] += ingress("http")["spec"]["rules"]
    assert list(refused_object("Ingress", both)) == ["tls"]


@pytest.mark.parametrize("kind", ["IngressRoute", "IngressRouteTCP"])
def test_a_route_without_tls_is_refused(kind: str) -> None:
    for spec in ({}, {"tls": None}):
        assert list(refused_object(kind, {"spec": spec})) == ["tls"]
    for tls in ({}, {"secretName": "a"}):
        assert refused_object(kind, {"spec": {"tls": tls}}) == {}


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer", "ExternalName"])
def test_a_service_that_leads_around_the_ingress_is_refused(kind: str) -> None:
    assert list(refused_object("Service", {"spec": {"type": kind}})) == ["tls"]
    assert refused("other:index:Service", {"kind": "Service", "spec": {"type": kind}}) == {}


@pytest.mark.parametrize("kind", ["ClusterIP", None, UNKNOWN])
def test_a_service_inside_the_cluster_passes(kind: str | None) -> None:
    assert refused_object("Service", {"spec": {"type": kind}}) == {}


def egress(**block: object) -> dict[str, Any]:
    return {"spec": {"egress": [{"to": [{"ipBlock": block}]}]}}


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "::/0"])
def test_a_policy_that_opens_link_local_addresses_is_refused(cidr: str) -> None:
    for excepted in (None, [], ["10.0.0.0/8"]):
        inputs = egress(cidr=cidr, **{"except": excepted})
        assert list(refused_object("NetworkPolicy", inputs)) == ["no-cloud-credentials"]
    own = {"0.0.0.0/0": "169.254.0.0/16", "::/0": "fe80::/10"}[cidr]
    for passes in (UNKNOWN, [own], ["10.0.0.0/8", own]):
        assert refused_object("NetworkPolicy", egress(cidr=cidr, **{"except": passes})) == {}


def test_an_unknown_peer_hides_no_open_one_beside_it() -> None:
    unknown = {"ipBlock": {"cidr": "0.0.0.0/0", "except": UNKNOWN}}
    peers = [unknown, {"ipBlock": {"cidr": "0.0.0.0/0", "except": []}}]
    rules = {"spec": {"egress": [{"to": peers}]}}
    assert list(refused_object("NetworkPolicy", rules)) == ["no-cloud-credentials"]


@pytest.mark.parametrize("to", [None, []])
def test_a_policy_that_opens_everything_is_refused(to: object) -> None:
    rules = {"spec": {"egress": [{"to": to, "ports": [{"port": 443}]}]}}
    assert list(refused_object("NetworkPolicy", rules)) == ["no-cloud-credentials"]


def stack(namespace: str, **spec: object) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    kinds = {
        "kubernetes:core/v1:Pod": {
            "kind": "Pod",
            "metadata": {"namespace": "registry"},
            "spec": {"containers": []},
        },
        "kubernetes:networking.k8s.io/v1:NetworkPolicy": {
            "kind": "NetworkPolicy",
            "metadata": {"namespace": namespace},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], **spec},
        },
    }
    return tuple((urn(kind), kind, outputs) for kind, outputs in kinds.items())


@pytest.mark.parametrize("namespace", ["registry", UNKNOWN])
def test_a_namespace_passes_where_all_traffic_is_denied(namespace: str) -> None:
    assert refused_stack(*stack(namespace)) == {}


@pytest.mark.parametrize(
    "resources",
    [
        stack("other"),
        stack("registry", policyTypes=["Ingress"]),
        stack("registry", podSelector={"matchLabels": {"a": "b"}}),
        stack("registry", ingress=[{}]),
        stack("registry", egress=[{}]),
        stack("registry")[:1],
    ],
)
def test_a_namespace_with_pods_and_open_traffic_is_refused(
    resources: tuple[tuple[str, str, dict[str, Any]], ...],
) -> None:
    assert refused_stack(*resources)["closed-namespaces"] == [
        "namespace registry: expected a NetworkPolicy that denies all traffic"
    ]


def test_a_pod_without_a_namespace_is_in_the_default_one() -> None:
    ((urn, kind, outputs), policy) = stack("registry")
    (problem,) = refused_stack((urn, kind, outputs | {"metadata": {}}), policy)["closed-namespaces"]
    assert "namespace default: " in problem
