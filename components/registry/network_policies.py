"""Network policies: who may connect to the registry, and what it may connect to."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as kubernetes

from components.metadata import labels
from components.smoke_test import LABELS as SMOKE_TEST_LABELS
from components.storage.check import LABELS as CHECK_LABELS
from settings.schema import IngressSettings

LABELS = labels("registry")
"""The labels of the registry's pods."""

HTTP01_SOLVER_LABELS = {"acme.cert-manager.io/http01-solver": "true"}
"""The labels of the pods that cert-manager creates in the namespace of a certificate:
https://github.com/cert-manager/cert-manager/blob/master/pkg/issuer/acme/http/pod.go"""

HTTP01_SOLVER_PORT = 8089
"""Their port:
https://github.com/cert-manager/cert-manager/blob/master/pkg/issuer/acme/http/http.go"""

LINK_LOCAL = {"0.0.0.0/0": "169.254.0.0/16", "::/0": "fe80::/10"}
"""All addresses, and those among them where clouds hand out credentials to any pod that asks:
https://docs.digitalocean.com/products/droplets/how-to/access-metadata/"""

ANYWHERE: list[kubernetes.networking.v1.NetworkPolicyPeerArgsDict] = [
    {"ip_block": {"cidr": everywhere, "except_": [link_local]}}
    for everywhere, link_local in LINK_LOCAL.items()
]
"""All addresses but the link-local ones."""

_SERVICE = r"[^.]+\.([^.]+)\.svc(\..+)?"


@dataclass(frozen=True, kw_only=True)
class NetworkPoliciesArgs:
    """What the policies allow.

    Attributes:
        namespace: The registry's namespace.
        ingress: Where the ingress controller is.
        cert_manager: Whether cert-manager gets the certificate.
        storage_endpoint: The URL of the S3 server.
        redirect: Whether the smoke test is sent to the S3 server, like all clients.
        webhooks: The URLs that the registry posts events to.
    """

    namespace: pulumi.Input[str]
    ingress: IngressSettings
    cert_manager: bool
    storage_endpoint: str
    redirect: bool
    webhooks: Sequence[str]


def network_policies(
    name: str, args: NetworkPoliciesArgs, opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """Deny all traffic in the namespace but what the registry's Jobs and cert-manager need.

    Args:
        name: The prefix of the resources' names.
        args: What to allow.
        opts: The options of each policy.
    """
    storage = server_rules(args.storage_endpoint)
    to_registry: kubernetes.networking.v1.NetworkPolicyEgressRuleArgsDict = {
        "to": [{"pod_selector": {"match_labels": LABELS}}],
        "ports": _ports("http"),
    }
    specs: dict[str, kubernetes.networking.v1.NetworkPolicySpecArgsDict] = {
        "smoke-test": {
            "pod_selector": {"match_labels": SMOKE_TEST_LABELS},
            "policy_types": ["Egress"],
            "egress": [dns_rule(), to_registry, *(storage if args.redirect else [])],
        },
        "storage-check": {
            "pod_selector": {"match_labels": CHECK_LABELS},
            "policy_types": ["Egress"],
            "egress": [dns_rule(), *storage],
        },
    }
    if args.cert_manager:
        specs["http01-solver"] = {
            "pod_selector": {"match_labels": HTTP01_SOLVER_LABELS},
            "policy_types": ["Ingress"],
            "ingress": [
                {"from_": controller_peers(args.ingress), "ports": _ports(HTTP01_SOLVER_PORT)}
            ],
        }
    return [
        policy(
            f"{name}-closed",
            "closed",
            args.namespace,
            {"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
            opts,
        ),
        *(
            policy(f"{name}-{purpose}-policy", purpose, args.namespace, spec, opts)
            for purpose, spec in specs.items()
        ),
    ]


def registry_policy(
    name: str, args: NetworkPoliciesArgs, opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """Allow what the registry's pods need.

    Args:
        name: The prefix of the resource's name.
        args: What to allow.
        opts: The policy's options. A changed endpoint takes the storage from the pods that run, so
            it comes after the storage check.
    """
    urls = (args.storage_endpoint, *args.webhooks)
    # Most of them are on the same port.
    servers = {json.dumps(rule): rule for url in urls for rule in server_rules(url)}.values()
    return policy(
        f"{name}-policy",
        "registry",
        args.namespace,
        {
            "pod_selector": {"match_labels": LABELS},
            "policy_types": ["Ingress", "Egress"],
            "ingress": [
                {"from_": controller_peers(args.ingress), "ports": _ports("http", "redirect")},
                {
                    "from_": [{"pod_selector": {"match_labels": SMOKE_TEST_LABELS}}],
                    "ports": _ports("http"),
                },
            ],
            "egress": [dns_rule(), *servers],
        },
        opts,
    )


def policy(
    name: str,
    purpose: str,
    namespace: pulumi.Input[str],
    spec: kubernetes.networking.v1.NetworkPolicySpecArgsDict,
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    """Create a policy with the name of its purpose.

    Fields that the API server would fill in are written out: of an object whose creation was
    interrupted, it takes another creation only with the very same lists.
    """
    return kubernetes.networking.v1.NetworkPolicy(
        name, metadata={"name": purpose, "namespace": namespace}, spec=spec, opts=opts
    )


def controller_peers(
    ingress: IngressSettings,
) -> list[kubernetes.networking.v1.NetworkPolicyPeerArgsDict]:
    """Return whom the ingress controller's connections come from."""
    if ingress.host_network:
        # Its pods have their nodes' addresses, which no selector selects.
        return [{"ip_block": {"cidr": everywhere}} for everywhere in LINK_LOCAL]
    return [{"namespace_selector": _named(ingress.controller_namespace)}]


def dns_rule() -> kubernetes.networking.v1.NetworkPolicyEgressRuleArgsDict:
    """Return the rule for the cluster's resolver."""
    resolver: kubernetes.networking.v1.NetworkPolicyPeerArgsDict = {
        "namespace_selector": _named("kube-system"),
        "pod_selector": {"match_labels": {"k8s-app": "kube-dns"}},
    }
    return {
        "to": [resolver],
        "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")],
    }


def server_rules(
    address: str,
) -> list[kubernetes.networking.v1.NetworkPolicyEgressRuleArgsDict]:
    """Return the rules for the server of a URL.

    A policy cannot name a host, so the server's port is open to any address. A Service may lead to
    another port of its pods, and policies see that one: so their namespace is open, too.
    """
    url = urlsplit(address)
    rules: list[kubernetes.networking.v1.NetworkPolicyEgressRuleArgsDict] = [
        {
            "to": ANYWHERE,
            "ports": _ports(url.port or (443 if url.scheme == "https" else 80)),
        }
    ]
    if service := re.fullmatch(_SERVICE, url.hostname or ""):
        rules.append({"to": [{"namespace_selector": _named(service[1])}]})
    return rules


def _named(namespace: str) -> kubernetes.meta.v1.LabelSelectorArgsDict:
    return {"match_labels": {"kubernetes.io/metadata.name": namespace}}


def _ports(*ports: int | str) -> list[kubernetes.networking.v1.NetworkPolicyPortArgsDict]:
    return [{"protocol": "TCP", "port": port} for port in ports]
