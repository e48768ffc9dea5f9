"""Who may connect to whom: the network policies, evaluated as Kubernetes does, against a table.

What is not in the table must be impossible. The kubelet's probes are not in it: no policy keeps a
node from its own pods. https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.unit.program.conftest import CONFIG, Run
from tests.unit.program.engine import Engine
from tests.unit.program.pods import pods

MODE = {
    "tls": {"mode": "letsEncrypt", "email": "you@example.com"},
    "monitoring": {"enabled": True, "namespace": "prometheus"},
    "cache": {"other": {"upstream": "other.example.com:8443"}},
    "page": {"enabled": True},
    "backup": {
        "endpoint": "https://copies.example.com:9443",
        "bucket": "copies",
        "accessKey": "x",
        "secretKey": "x",
    },
    "scan": {"enabled": True, "database": "other.example.com:8444/trivy-db:2"},
}
"""The default with everything that opens a port."""

STORAGE_PORT, HTTP, REDIRECT, PROBE, MAINTENANCE, METRICS, ACME = (
    *(443, 5000, 5080, 5081, 5082, 5083),
    8080,
)
UPSTREAM, DATABASE, COPIES = 8443, 8444, 9443
API_SERVER = 6443
PORTS = (
    *(22, 53, 80, STORAGE_PORT, 5001, 5002, 5003, 5004, API_SERVER),
    *(HTTP, REDIRECT, PROBE, MAINTENANCE, METRICS, ACME, UPSTREAM, DATABASE, COPIES),
)
"""Those of the table, those of the registries inside of their pod, and what attackers try first."""

TABLE = [
    ("ingress", "registry", [HTTP, REDIRECT], "all clients come this way"),
    ("smoke-test", "registry", [HTTP], "it logs in as a client, and is refused as one"),
    ("scan", "registry", [HTTP], "it pulls as a client"),
    ("maintenance", "registry", [MAINTENANCE], "it alone may make pods forget layers"),
    ("prometheus", "registry", [METRICS], "metrics name repositories: its namespace alone"),
    ("ingress", "acme-client", [ACME], "the ACME server asks here, through port 80"),
    # The namespace of the ingress controller, whose labels depend on how it was installed.
    ("resolver", "registry", [HTTP, REDIRECT], "a neighbor of the ingress controller"),
    ("resolver", "acme-client", [ACME], "a neighbor of the ingress controller"),
    ("registry", "cache-other", [HTTP], "logins are checked there, and in no cache"),
    ("cache-other", "anywhere", [STORAGE_PORT, UPSTREAM], "the storage, and the other registry"),
    ("backup", "anywhere", [STORAGE_PORT, COPIES], "it copies the one storage to the other"),
    ("backup-check", "anywhere", [COPIES], "the storage of the copy alone"),
    ("registry", "anywhere", [STORAGE_PORT], "the storage: policies know no host names"),
    ("storage-check", "anywhere", [STORAGE_PORT], "what the registry reaches, it reaches first"),
    (
        *("maintenance", "anywhere", [STORAGE_PORT, API_SERVER]),
        "the bucket that it looks after, and the API server, which it tells what users see",
    ),
    ("maintenance", "metadata", [API_SERVER], "what Cilium needs, as the next one"),
    (
        *("scan", "anywhere", [API_SERVER, DATABASE]),
        "the API server, which it tells what it finds, and the database; nothing on 443: it has "
        "read what others have built",
    ),
    ("scan", "metadata", [API_SERVER], "what Cilium needs, as the next one"),
    (
        *("acme-client", "anywhere", [port for port in PORTS if port >= 443]),
        "the ACME server and the cluster's API server, which both may be on any such port",
    ),
    ("acme-client", "metadata", [API_SERVER], "what Cilium needs; no cloud has credentials there"),
    *(
        (pod, "resolver", [53], "names of the storage, the registry and the ACME server")
        for pod in (
            "registry",
            "smoke-test",
            "storage-check",
            "maintenance",
            "scan",
            "acme-client",
            "cache-other",
            "backup",
            "backup-check",
        )
    ),
]
"""From, to, ports of TCP, and why. Anywhere is all that is not the program's but `metadata`."""


@dataclass(frozen=True)
class Place:
    """Where connections come from or lead to; without a namespace it is no pod."""

    address: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)


OUTSIDE = {
    "ingress": Place("10.42.0.2", "kube-system", {"app.kubernetes.io/name": "traefik"}),
    "resolver": Place("10.42.0.3", "kube-system", {"k8s-app": "kube-dns"}),
    "prometheus": Place("10.42.0.4", "prometheus"),
    # With the labels of the registry's pods: labels alone must open nothing.
    "strangers": Place(
        "10.42.0.5",
        "default",
        {"app.kubernetes.io/name": "registry", "app.kubernetes.io/component": "maintenance"},
    ),
    "internet": Place("203.0.113.1"),
    "node": Place("10.77.0.2"),
    "metadata": Place("169.254.169.254"),
}
"""All that is not the program's. `node` is where the API server is. `metadata` is where clouds hand
credentials to any pod that asks;
https://docs.digitalocean.com/products/droplets/how-to/access-metadata/"""


def places(engine: Engine) -> dict[str, Place]:
    """Return all places: those outside, and each of the program's pods by its component."""
    own = {}
    for number, pod in enumerate(pods(engine), 10):
        named = {
            port["name"]: port["containerPort"]
            for x in pod.containers
            for port in x.get("ports", [])
        }
        own[pod.name] = Place(f"10.42.0.{number}", pod.namespace, pod.labels, named)
    return {**OUTSIDE, **own}


def wanted() -> set[tuple[str, str, int]]:
    """Return the connections of the table."""
    return {
        (start, place, port)
        for start, end, ports, _ in TABLE
        for place in (OUTSIDE.keys() - {"metadata"} if end == "anywhere" else [end])
        for port in ports
    }


def why(start: str, end: str) -> str:
    return "; or ".join(x[3] for x in TABLE if x[0] == start and x[1] in {end, "anywhere"})


def selected(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}, "this evaluator knows no other selectors"
    wanted: Mapping[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


MATCHED_BY_BLOCKS = {place.address for place in OUTSIDE.values()}
"""The addresses that blocks match: on kube-router, all."""


def is_peer(peer: Mapping[str, Any], place: Place, own_namespace: str) -> bool:
    if block := peer.get("ipBlock"):
        if place.address not in MATCHED_BY_BLOCKS:
            return False
        address = ip_address(place.address)
        inside, *outside = (ip_network(x) for x in (block["cidr"], *block.get("except", [])))
        return address in inside and not any(address in x for x in outside)
    if not place.namespace:
        return False
    if "namespaceSelector" in peer:
        name = {"kubernetes.io/metadata.name": place.namespace}
        in_namespace = selected(peer["namespaceSelector"], name)
    else:
        in_namespace = place.namespace == own_namespace
    return in_namespace and selected(peer.get("podSelector", {}), place.labels)


def is_open(ports: Sequence[Mapping[str, Any]], target: Place, port: int) -> bool:
    """Return whether a rule's ports, of which none stand for all, have one of TCP."""
    return not ports or any(
        x.get("protocol", "TCP") == "TCP"
        and target.ports.get(x["port"], x["port"]) <= port
        and port <= x.get("endPort", target.ports.get(x["port"], x["port"]))
        for x in ports
        if isinstance(x["port"], int) or x["port"] in target.ports
    )


def permitted(
    engine: Engine, way: str, place: Place, peer: Place, target: Place, port: int
) -> bool:
    """Return whether the policies of a place let a connection in or out."""
    policies = [
        (x.inputs["metadata"]["namespace"], x.inputs["spec"])
        for x in engine.resources.values()
        if x.type.endswith(":NetworkPolicy")
    ]
    rules = [
        (namespace, spec.get(way.lower(), []))
        for namespace, spec in policies
        if namespace == place.namespace
        and way in spec["policyTypes"]
        and selected(spec["podSelector"], place.labels)
    ]
    peers = "from" if way == "Ingress" else "to"
    return not rules or any(
        (not rule.get(peers) or any(is_peer(x, peer, namespace) for x in rule[peers]))
        and is_open(rule.get("ports", []), target, port)
        for namespace, of_policy in rules
        for rule in of_policy
    )


def connections(engine: Engine) -> Iterator[tuple[str, str, int]]:
    """Yield all connections that are possible and concern one of the program's pods."""
    known = places(engine)
    for start, here in known.items():
        for end, there in known.items():
            for port in PORTS:
                if (
                    start != end
                    and not {start, end} <= OUTSIDE.keys()
                    and permitted(engine, "Egress", here, there, there, port)
                    and permitted(engine, "Ingress", there, here, there, port)
                ):
                    yield start, end, port


def test_only_the_connections_of_the_table_are_possible(run: Run) -> None:
    possible = set(connections(run({**CONFIG, **MODE})))
    assert not possible - wanted(), "open, and no row says why"
    for start, end, port in wanted() - possible:
        raise AssertionError(f"{start} cannot connect to {end} on {port}: {why(start, end)}")


def test_without_monitoring_and_acme_nothing_else_is_open(run: Run) -> None:
    """A setting that is off leaves no hole behind."""
    possible = set(connections(run()))
    off = {"acme-client", "cache-other", "backup", "backup-check", "scan"}
    left = {x for x in wanted() if off.isdisjoint(x) and x[0] != "prometheus"}
    assert possible == {x for x in left if x[2] != API_SERVER}


def test_a_controller_on_its_nodes_addresses_gets_in_by_address_and_to_the_same_ports(
    run: Run,
) -> None:
    """No selector selects such pods, so any address may: to log in, and to nothing else."""
    possible = set(connections(run({**CONFIG, "ingress": {"hostNetwork": True}})))
    assert {port for _, end, port in possible if end == "registry"} == {HTTP, REDIRECT, MAINTENANCE}
    assert ("internet", "registry", MAINTENANCE) not in possible
    assert ("strangers", "registry", MAINTENANCE) not in possible


def test_cilium_needs_no_setting_for_the_api_server_and_for_a_controller_on_its_nodes_addresses(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its blocks match neither pods nor nodes; a rule without peers matches all there, too.

    https://docs.cilium.io/en/stable/security/policy/layer3/#cidr-based and, for such a rule,
    https://github.com/cilium/cilium/blob/main/pkg/k8s/network_policy.go
    """
    world = {OUTSIDE[name].address for name in ("internet", "metadata")}
    monkeypatch.setitem(globals(), "MATCHED_BY_BLOCKS", world)
    possible = set(connections(run({**CONFIG, **MODE, "ingress": {"hostNetwork": True}})))
    assert {
        ("acme-client", "node", API_SERVER),
        ("acme-client", "internet", STORAGE_PORT),
        ("registry", "internet", STORAGE_PORT),
        ("node", "registry", HTTP),
        ("node", "acme-client", ACME),
    } <= possible
    assert ("node", "registry", MAINTENANCE) not in possible
