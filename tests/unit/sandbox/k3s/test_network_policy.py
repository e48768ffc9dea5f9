"""NetworkPolicies as iptables rules."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.k3s.network_policy import render

HEAD = """\
*filter
:SANDBOX-POLICY - [0:0]
:SANDBOX-EGRESS - [0:0]
:SANDBOX-INGRESS - [0:0]
-A SANDBOX-POLICY -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A SANDBOX-POLICY -j SANDBOX-EGRESS
-A SANDBOX-POLICY -j SANDBOX-INGRESS
"""


def pod(
    namespace: str,
    ip: str,
    labels: dict[str, str],
    ports: dict[str, int] | None = None,
    **other: Any,
) -> dict[str, Any]:
    named = [{"name": k, "containerPort": v} for k, v in (ports or {}).items()]
    return {
        "metadata": {"namespace": namespace, "labels": labels},
        "spec": {"containers": [{"ports": named}], **other.get("spec", {})},
        "status": {"podIP": ip, "phase": "Running", **other.get("status", {})},
    }


NAMESPACES = [
    {"metadata": {"name": x, "labels": {"kubernetes.io/metadata.name": x}}}
    for x in ("registry", "kube-system")
]
REGISTRY = pod("registry", "10.42.0.5", {"app": "registry"}, {"http": 5000})
SMOKE_TEST = pod("registry", "10.42.0.6", {"app": "smoke-test"})
TRAEFIK = pod("kube-system", "10.42.0.10", {"app.kubernetes.io/name": "traefik"})
DNS = pod("kube-system", "10.42.0.9", {"k8s-app": "kube-dns"}, {"dns-tcp": 53})
PODS = [TRAEFIK, DNS, REGISTRY, SMOKE_TEST]


def policy(
    types: list[str], selector: dict[str, Any] | None = None, **rules: Any
) -> dict[str, Any]:
    spec = {"podSelector": selector or {}, "policyTypes": types, **rules}
    return {"metadata": {"namespace": "registry", "name": "p"}, "spec": spec}


def body(*policies: dict[str, Any], pods: list[dict[str, Any]] = PODS) -> list[str]:
    text = render(NAMESPACES, pods, policies)
    assert text.startswith(HEAD)
    assert text.endswith("COMMIT\n")
    return text.removeprefix(HEAD).splitlines()[:-1]


def test_without_policies_everything_passes() -> None:
    assert body() == []


def test_a_registrys_policy_renders_as_known() -> None:
    result = body(
        policy(
            ["Ingress", "Egress"],
            {"matchLabels": {"app": "registry"}},
            ingress=[
                {
                    "from": [
                        {
                            "namespaceSelector": {
                                "matchLabels": {"kubernetes.io/metadata.name": "kube-system"}
                            },
                            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "traefik"}},
                        },
                        {"podSelector": {"matchLabels": {"app": "smoke-test"}}},
                    ],
                    "ports": [{"port": "http"}],
                }
            ],
            egress=[
                {
                    "to": [
                        {
                            "namespaceSelector": {},
                            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
                        }
                    ],
                    "ports": [{"port": 53, "protocol": "UDP"}, {"port": "dns-tcp"}],
                },
                {
                    "to": [{"ipBlock": {"cidr": "10.77.0.0/24"}}],
                    "ports": [{"port": 7070, "endPort": 7072}],
                },
            ],
        )
    )
    assert result == [
        "-A SANDBOX-EGRESS -s 10.42.0.5/32 -d 10.42.0.9/32 -p udp --dport 53 -j RETURN",
        "-A SANDBOX-EGRESS -s 10.42.0.5/32 -d 10.42.0.9/32 -p tcp --dport 53 -j RETURN",
        "-A SANDBOX-EGRESS -s 10.42.0.5/32 -d 10.77.0.0/24 -p tcp --dport 7070:7072 -j RETURN",
        "-A SANDBOX-EGRESS -s 10.42.0.5/32 -j REJECT",
        "-A SANDBOX-INGRESS -d 10.42.0.5/32 -s 10.42.0.10/32 -p tcp --dport 5000 -j RETURN",
        "-A SANDBOX-INGRESS -d 10.42.0.5/32 -s 10.42.0.6/32 -p tcp --dport 5000 -j RETURN",
        "-A SANDBOX-INGRESS -d 10.42.0.5/32 -j REJECT",
    ]


def test_an_empty_policy_closes_its_own_namespace_only() -> None:
    assert body(policy(["Ingress"])) == [
        "-A SANDBOX-INGRESS -d 10.42.0.5/32 -j REJECT",
        "-A SANDBOX-INGRESS -d 10.42.0.6/32 -j REJECT",
    ]


def test_a_rule_without_peers_or_ports_allows_everything() -> None:
    assert body(policy(["Egress"], {"matchLabels": {"app": "smoke-test"}}, egress=[{}])) == [
        "-A SANDBOX-EGRESS -s 10.42.0.6/32 -d 0.0.0.0/0 -j RETURN",
        "-A SANDBOX-EGRESS -s 10.42.0.6/32 -j REJECT",
    ]


def test_exceptions_are_cut_out_of_a_network() -> None:
    block = {"cidr": "10.0.0.0/30", "except": ["10.0.0.1/32"]}
    rules = body(
        policy(
            ["Egress"],
            {"matchLabels": {"app": "smoke-test"}},
            egress=[{"to": [{"ipBlock": block}]}],
        )
    )
    allowed = [x.split()[5] for x in rules[:-1]]
    assert allowed == ["10.0.0.0/32", "10.0.0.2/31"]


def test_policies_add_up() -> None:
    one = policy(
        ["Egress"], {"matchLabels": {"app": "smoke-test"}}, egress=[{"ports": [{"port": 1}]}]
    )
    two = policy(
        ["Egress"], {"matchLabels": {"app": "smoke-test"}}, egress=[{"ports": [{"port": 2}]}]
    )
    ports = [x.split()[-3] for x in body(one, two)[:-1]]
    assert ports == ["1", "2"]


def test_a_name_that_no_peer_listens_under_allows_nothing() -> None:
    rules = body(policy(["Egress"], egress=[{"ports": [{"port": "http"}]}]))
    assert [x for x in rules if "RETURN" in x] == [
        "-A SANDBOX-EGRESS -s 10.42.0.5/32 -d 10.42.0.5/32 -p tcp --dport 5000 -j RETURN",
        "-A SANDBOX-EGRESS -s 10.42.0.6/32 -d 10.42.0.5/32 -p tcp --dport 5000 -j RETURN",
    ]


def test_pods_without_an_address_of_their_own_are_passed_over() -> None:
    others = [
        pod("registry", "10.77.0.2", {}, spec={"hostNetwork": True}),
        pod("registry", "10.42.0.7", {}, status={"phase": "Succeeded"}),
        pod("registry", "", {}),
    ]
    assert body(policy(["Ingress"]), pods=others) == []


@pytest.mark.parametrize(
    ("operator", "values", "chosen"),
    [
        ("In", ["registry", "x"], ["10.42.0.5"]),
        ("NotIn", ["registry"], ["10.42.0.6", "10.42.0.7"]),
        ("Exists", [], ["10.42.0.5", "10.42.0.6"]),
        ("DoesNotExist", [], ["10.42.0.7"]),
    ],
)
def test_selectors_know_kubernetes_operators(
    operator: str, values: list[str], chosen: list[str]
) -> None:
    selector = {"matchExpressions": [{"key": "app", "operator": operator, "values": values}]}
    rules = body(
        policy(["Ingress"], selector), pods=[REGISTRY, SMOKE_TEST, pod("registry", "10.42.0.7", {})]
    )
    assert rules == [f"-A SANDBOX-INGRESS -d {ip}/32 -j REJECT" for ip in chosen]
