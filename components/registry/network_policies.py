"""Network policies: who may connect to the registry, and what it may connect to."""

from __future__ import annotations

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
    pods,
    policy,
    rules_of_servers,
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
    """What the policies allow; a redirect leads the smoke test to the S3 server, too."""

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
        "to": [pods(REGISTRY_LABELS)],
        "ports": tcp("http"),
    }
    policies = [
        policy(f"{name}-closed", "closed", args.namespace, {}, opts, ingress=[], egress=[]),
        policy(
            f"{name}-smoke-test-policy",
            "smoke-test",
            args.namespace,
            SMOKE_TEST_LABELS,
            opts,
            egress=[dns_rule(), to_registry, *(storage if args.redirect else [])],
        ),
        policy(
            f"{name}-storage-check-policy",
            "storage-check",
            args.namespace,
            STORAGE_CHECK_LABELS,
            opts,
            egress=[dns_rule(), *storage],
        ),
    ]
    if args.cert_manager:
        policies.append(
            policy(
                f"{name}-http01-solver-policy",
                "http01-solver",
                args.namespace,
                HTTP01_SOLVER_LABELS,
                opts,
                ingress=[from_controller(args.ingress, HTTP01_SOLVER_PORT)],
            )
        )
    return policies


def registry_policy(
    name: str, args: NetworkPoliciesArgs, opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """Allow what the registry's pods need.

    A changed endpoint takes the storage from pods that run, so it comes after the storage check.
    """
    return policy(
        f"{name}-policy",
        "registry",
        args.namespace,
        REGISTRY_LABELS,
        opts,
        ingress=[
            from_controller(args.ingress, "http", "redirect"),
            {"from_": [pods(SMOKE_TEST_LABELS)], "ports": tcp("http")},
        ],
        egress=[dns_rule(), *rules_of_servers(args.storage_endpoint, *args.webhooks)],
    )
