"""Network policies: who may connect to the registry, and what it may connect to."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as kubernetes

from components.metadata import labels
from components.smoke_test import LABELS as SMOKE_TEST_LABELS
from components.storage.check import LABELS as CHECK_LABELS

LABELS = labels("registry")
"""The labels of the registry's pods."""

MAINTENANCE_LABELS = labels("maintenance")
"""The labels of the pods of the maintenance, which connects to each of the registry's."""


@dataclass(frozen=True, kw_only=True)
class NetworkPoliciesArgs:
    """What the policies allow.

    Attributes:
        namespace: The registry's namespace.
        controller_namespace: The namespace of the ingress controller's pods.
        storage_endpoint: The URL of the S3 server.
    """

    namespace: pulumi.Input[str]
    controller_namespace: str
    storage_endpoint: str


def network_policies(
    name: str, args: NetworkPoliciesArgs, opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """Deny all traffic in the namespace but what the registry and the pods that run scripts need.

    Args:
        name: The prefix of the resources' names.
        args: What to allow.
        opts: The options of each policy.
    """
    closed = kubernetes.networking.v1.NetworkPolicy(
        f"{name}-closed",
        metadata={"name": "closed", "namespace": args.namespace},
        spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
        opts=opts,
    )
    dns: kubernetes.networking.v1.NetworkPolicyEgressRuleArgsDict = {
        "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    }
    storage = urlsplit(args.storage_endpoint)
    # A policy cannot name a host, so the storage's port is open to any address.
    storage_port: kubernetes.networking.v1.NetworkPolicyEgressRuleArgsDict = {
        "ports": [{"port": storage.port or (443 if storage.scheme == "https" else 80)}]
    }
    registry = kubernetes.networking.v1.NetworkPolicy(
        f"{name}-policy",
        metadata={"name": "registry", "namespace": args.namespace},
        spec={
            "pod_selector": {"match_labels": LABELS},
            "policy_types": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from_": [
                        {
                            "namespace_selector": {
                                "match_labels": {
                                    "kubernetes.io/metadata.name": args.controller_namespace
                                }
                            }
                        },
                        {"pod_selector": {"match_labels": SMOKE_TEST_LABELS}},
                        {"pod_selector": {"match_labels": MAINTENANCE_LABELS}},
                    ],
                    "ports": [{"port": "http"}],
                }
            ],
            "egress": [dns, storage_port],
        },
        opts=opts,
    )
    smoke_test = kubernetes.networking.v1.NetworkPolicy(
        f"{name}-smoke-test-policy",
        metadata={"name": "smoke-test", "namespace": args.namespace},
        spec={
            "pod_selector": {"match_labels": SMOKE_TEST_LABELS},
            "policy_types": ["Egress"],
            "egress": [
                dns,
                {
                    "to": [{"pod_selector": {"match_labels": LABELS}}],
                    "ports": [{"port": "http"}],
                },
            ],
        },
        opts=opts,
    )
    check = kubernetes.networking.v1.NetworkPolicy(
        f"{name}-storage-check-policy",
        metadata={"name": "storage-check", "namespace": args.namespace},
        spec={
            "pod_selector": {"match_labels": CHECK_LABELS},
            "policy_types": ["Egress"],
            "egress": [dns, storage_port],
        },
        opts=opts,
    )
    maintenance = kubernetes.networking.v1.NetworkPolicy(
        f"{name}-maintenance-policy",
        metadata={"name": "maintenance", "namespace": args.namespace},
        spec={
            "pod_selector": {"match_labels": MAINTENANCE_LABELS},
            "policy_types": ["Egress"],
            "egress": [
                dns,
                storage_port,
                {
                    "to": [{"pod_selector": {"match_labels": LABELS}}],
                    "ports": [{"port": "http"}],
                },
            ],
        },
        opts=opts,
    )
    return [closed, registry, smoke_test, check, maintenance]
