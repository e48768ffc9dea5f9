"""Who talks to whom: labels and ports of the pods, and the network policies that name them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as kubernetes

from components.metadata import labels
from settings.schema import IngressSettings

REGISTRY_LABELS = labels("registry")
"""The labels of the registry's pods."""

SMOKE_TEST_LABELS = labels("smoke-test")
"""The labels of the smoke test's pod, which may connect to the registry."""

STORAGE_CHECK_LABELS = labels("storage-check")
"""The labels of the storage check's pod, which may reach the storage as the registry may."""

PORT = 5000
"""The registry's port for clients; those after it are on the same pods."""

REDIRECT_PORT = 5080
"""The port that redirects every request to HTTPS."""

PROBE_PORT = 5081
"""The port for the kubelet."""

MAINTENANCE_PORT = 5082
"""The port for the maintenance, which deletes what no image needs."""

METRICS_PORT = 5083
"""The port for Prometheus."""

METRICS_PATH = "/metrics"
"""The path of the registry's metrics, there and where it serves them."""

MANIFESTS_METRICS_PATH, PROXY_METRICS_PATH = "/metrics/manifests", "/metrics/auth-proxy"
"""The paths of the metrics of the registry for manifests, and of the auth proxy's own."""

FINDINGS_METRICS_PATH = "/metrics/scan"
"""The path of what the last scan has found."""

LINK_LOCAL = {"0.0.0.0/0": "169.254.0.0/16", "::/0": "fe80::/10"}
"""All addresses, and those among them where clouds hand out credentials to any pod that asks:
https://docs.digitalocean.com/products/droplets/how-to/access-metadata/"""

ANYWHERE: list[kubernetes.networking.v1.NetworkPolicyPeerArgsDict] = [
    {"ip_block": {"cidr": everywhere, "except_": [link_local]}}
    for everywhere, link_local in LINK_LOCAL.items()
]
"""All addresses but the link-local ones."""

API_SERVER = 6443
"""The API server's port on k3s' nodes (``--https-listen-port``), which policies see after that of
its Service."""

API_SERVER_RULE: kubernetes.networking.v1.NetworkPolicyEgressRuleArgsDict = {
    "ports": [{"protocol": "TCP", "port": API_SERVER}]
}
"""The rule for that port. On Cilium no block matches nodes, and so not the API server, but no peer
does: https://docs.cilium.io/en/stable/security/policy/layer3/#cidr-based"""

_SERVICE = r"[^.]+\.([^.]+)\.svc(\..+)?"


def policy(
    name: str,
    purpose: str,
    namespace: pulumi.Input[str],
    labels: Mapping[str, str],
    opts: pulumi.ResourceOptions,
    *,
    ingress: Sequence[kubernetes.networking.v1.NetworkPolicyIngressRuleArgsDict] | None = None,
    egress: Sequence[kubernetes.networking.v1.NetworkPolicyEgressRuleArgsDict] | None = None,
) -> pulumi.Resource:
    """Create a policy with the name of its purpose, for pods with some labels, or for all.

    Traffic of a direction without rules is not its business, and none at all is allowed by an empty
    list. Fields that the API server would fill in are written out: of an object whose creation was
    interrupted, it takes another creation only with the very same lists.
    """
    spec: kubernetes.networking.v1.NetworkPolicySpecArgsDict = {
        "pod_selector": {"match_labels": labels} if labels else {},
        "policy_types": [
            *(["Ingress"] if ingress is not None else []),
            *(["Egress"] if egress is not None else []),
        ],
    }
    if ingress:
        spec["ingress"] = ingress
    if egress:
        spec["egress"] = egress
    return kubernetes.networking.v1.NetworkPolicy(
        name, metadata={"name": purpose, "namespace": namespace}, spec=spec, opts=opts
    )


def pods(labels: Mapping[str, str]) -> kubernetes.networking.v1.NetworkPolicyPeerArgsDict:
    """Return the pods of the namespace with some labels."""
    return {"pod_selector": {"match_labels": labels}}


def from_controller(
    ingress: IngressSettings, *ports: int | str
) -> kubernetes.networking.v1.NetworkPolicyIngressRuleArgsDict:
    """Return the rule for the ingress controller's connections."""
    if ingress.host_network:
        # Its pods have their nodes' addresses, which no selector selects, and on Cilium no block.
        return {"ports": tcp(*ports)}
    peer: kubernetes.networking.v1.NetworkPolicyPeerArgsDict = {
        "namespace_selector": in_namespace(ingress.controller_namespace)
    }
    return {"from_": [peer], "ports": tcp(*ports)}


def dns_rule() -> kubernetes.networking.v1.NetworkPolicyEgressRuleArgsDict:
    """Return the rule for the cluster's resolver."""
    resolver: kubernetes.networking.v1.NetworkPolicyPeerArgsDict = {
        "namespace_selector": in_namespace("kube-system"),
        "pod_selector": {"match_labels": {"k8s-app": "kube-dns"}},
    }
    return {
        "to": [resolver],
        "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")],
    }


def rules_of_servers(
    *addresses: str,
) -> list[kubernetes.networking.v1.NetworkPolicyEgressRuleArgsDict]:
    """Return the rules for the servers of URLs, each rule once: most are on the same port."""
    rules = {json.dumps(rule): rule for address in addresses for rule in server_rules(address)}
    return list(rules.values())


def server_rules(
    address: str,
) -> list[kubernetes.networking.v1.NetworkPolicyEgressRuleArgsDict]:
    """Return the rules for the server of a URL.

    A policy cannot name a host, so the server's port is open to any address. A Service may lead to
    another port of its pods, and policies see that one: so their namespace is open, too.
    """
    url = urlsplit(address)
    rules: list[kubernetes.networking.v1.NetworkPolicyEgressRuleArgsDict] = [
        {"to": ANYWHERE, "ports": tcp(url.port or (443 if url.scheme == "https" else 80))}
    ]
    if service := re.fullmatch(_SERVICE, url.hostname or ""):
        rules.append({"to": [{"namespace_selector": in_namespace(service[1])}]})
    return rules


def in_namespace(namespace: str) -> kubernetes.meta.v1.LabelSelectorArgsDict:
    """Return the selector of a namespace by its name."""
    return {"match_labels": {"kubernetes.io/metadata.name": namespace}}


def tcp(*ports: int | str) -> list[kubernetes.networking.v1.NetworkPolicyPortArgsDict]:
    """Return ports, by number or by the name that the pod gives them."""
    return [{"protocol": "TCP", "port": port} for port in ports]
