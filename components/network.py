"""Who may talk to the registry, and whom it may talk to."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as kubernetes

from components.pod import LABELS

PROOF_LABELS = {"app.kubernetes.io/name": "registry", "app.kubernetes.io/component": "proof"}
"""The labels of the proof's pod, which may reach the registry like an ingress controller."""

CHECK_LABELS = {
    "app.kubernetes.io/name": "registry",
    "app.kubernetes.io/component": "storage-check",
}
"""The labels of the storage check's pod, which may reach the store as the registry may."""


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """What the policies allow.

    Attributes:
        namespace: The registry's namespace.
        ingress_namespace: The namespace of the ingress controller's pods.
        storage_endpoint: The URL of the S3 server.
    """

    namespace: pulumi.Input[str]
    ingress_namespace: str
    storage_endpoint: str


def registry_policies(
    name: str, args: NetworkArgs, opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """Close the namespace, then open what registry, proof and storage check need.

    Args:
        name: What the resources' names start with.
        args: What to allow.
        opts: The resources' parent.
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
    store = urlsplit(args.storage_endpoint)
    # A policy cannot name a host, so the store's port is open to any address.
    store_port: kubernetes.networking.v1.NetworkPolicyEgressRuleArgsDict = {
        "ports": [{"port": store.port or (443 if store.scheme == "https" else 80)}]
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
                                    "kubernetes.io/metadata.name": args.ingress_namespace
                                }
                            }
                        },
                        {"pod_selector": {"match_labels": PROOF_LABELS}},
                    ],
                    "ports": [{"port": "http"}],
                }
            ],
            "egress": [dns, store_port],
        },
        opts=opts,
    )
    proof = kubernetes.networking.v1.NetworkPolicy(
        f"{name}-proof-policy",
        metadata={"name": "proof", "namespace": args.namespace},
        spec={
            "pod_selector": {"match_labels": PROOF_LABELS},
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
            "egress": [dns, store_port],
        },
        opts=opts,
    )
    return [closed, registry, proof, check]
