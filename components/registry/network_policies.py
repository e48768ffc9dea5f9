"""Network policies: who may connect to the registry, and what it may connect to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.network import (
    REGISTRY_LABELS,
    SMOKE_TEST_LABELS,
    STORAGE_CHECK_LABELS,
    dns_rule,
    from_controller,
    policy,
    server_rules,
    tcp,
)
from settings.schema import IngressSettings

HTTP01_SOLVER_LABELS = {"acme.cert-manager.io/http01-solver": "true"}
"""The labels of the pods that cert-manager creates in the namespace of a certificate:
https://github.com/cert-manager/cert-manager/blob/master/pkg/issuer/acme/http/pod.go"""

HTTP01_SOLVER_PORT = 8089
"""Their port:
https://github.com/cert-manager/cert-manager/blob/master/pkg/issuer/acme/http/http.go"""


@dataclass(frozen=True, kw_only=True)
class NetworkPoliciesArgs:
    """What the policies allow.

    Attributes:
        redirect: Whether the smoke test is sent to the S3 server, like all clients.
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
    """Deny all traffic in the namespace but what the registry's Jobs and cert-manager need."""
    storage = server_rules(args.storage_endpoint)
    to_registry: kubernetes.networking.v1.NetworkPolicyEgressRuleArgsDict = {
        "to": [{"pod_selector": {"match_labels": REGISTRY_LABELS}}],
        "ports": tcp("http"),
    }
    specs: dict[str, kubernetes.networking.v1.NetworkPolicySpecArgsDict] = {
        "smoke-test": {
            "pod_selector": {"match_labels": SMOKE_TEST_LABELS},
            "policy_types": ["Egress"],
            "egress": [dns_rule(), to_registry, *(storage if args.redirect else [])],
        },
        "storage-check": {
            "pod_selector": {"match_labels": STORAGE_CHECK_LABELS},
            "policy_types": ["Egress"],
            "egress": [dns_rule(), *storage],
        },
    }
    if args.cert_manager:
        specs["http01-solver"] = {
            "pod_selector": {"match_labels": HTTP01_SOLVER_LABELS},
            "policy_types": ["Ingress"],
            "ingress": [from_controller(args.ingress, HTTP01_SOLVER_PORT)],
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

    A changed endpoint takes the storage from pods that run, so it comes after the storage check.
    """
    urls = (args.storage_endpoint, *args.webhooks)
    # Most of them are on the same port.
    servers = {json.dumps(rule): rule for url in urls for rule in server_rules(url)}.values()
    return policy(
        f"{name}-policy",
        "registry",
        args.namespace,
        {
            "pod_selector": {"match_labels": REGISTRY_LABELS},
            "policy_types": ["Ingress", "Egress"],
            "ingress": [
                from_controller(args.ingress, "http", "redirect"),
                {
                    "from_": [{"pod_selector": {"match_labels": SMOKE_TEST_LABELS}}],
                    "ports": tcp("http"),
                },
            ],
            "egress": [dns_rule(), *servers],
        },
        opts,
    )
