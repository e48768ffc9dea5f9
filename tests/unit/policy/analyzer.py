"""Runs the policies as the SDK does, on resources as the engine hands them over."""

from __future__ import annotations

from typing import Any

from pulumi_policy import (
    PolicyCustomTimeouts,
    PolicyResource,
    PolicyResourceOptions,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

from policy.policies import POLICIES

UNKNOWN = UNKNOWN_STRING_VALUE
"""What a preview hands over for what only `up` knows."""

_TYPES = {
    "Deployment": "apps/v1",
    "DaemonSet": "apps/v1",
    "CronJob": "batch/v1",
    "Job": "batch/v1",
    "ConfigMap": "core/v1",
    "Namespace": "core/v1",
    "Pod": "core/v1",
    "Secret": "core/v1",
    "Service": "core/v1",
    "Ingress": "networking.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "IngressRoute": "traefik.io/v1alpha1",
    "IngressRouteTCP": "traefik.io/v1alpha1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "PodTemplate": "core/v1",
}


def urn(kind: str, name: str = "it", parent: str = "") -> str:
    chain = f"{parent}${kind}" if parent else kind
    return f"urn:pulumi:dev::k3s-registry::{chain}::{name}"


def options(protect: bool) -> PolicyResourceOptions:
    return PolicyResourceOptions(protect, [], None, [], PolicyCustomTimeouts(0, 0, 0), [])


class Reports(dict[str, list[str]]):
    """What each policy reports, by its name."""

    def of(self, policy: str) -> ReportViolation:
        def report(message: str, urn: str | None) -> None:
            self.setdefault(policy, []).append(f"{urn}: {message}" if urn else message)

        return report


def refused(
    kind: str, inputs: dict[str, Any], *, urn: str = urn("it"), protect: bool = False
) -> Reports:
    """Return what each policy reports of a resource that is about to be created."""
    reports = Reports()
    name = urn.split("::")[-1]
    for policy in POLICIES:
        if isinstance(policy, ResourceValidationPolicy):
            args = ResourceValidationArgs(
                kind, unknown_checking_proxy(inputs), urn, name, options(protect), None, None, None
            )
            policy.validate(args, reports.of(policy.name))
    return reports


def refused_object(kind: str, inputs: dict[str, Any], parent: str = "") -> Reports:
    """Return what each policy reports of an object of the cluster."""
    token = f"kubernetes:{_TYPES[kind]}:{kind}"
    return refused(token, {"kind": kind, **inputs}, urn=urn(token, parent=parent))


def refused_stack(*resources: tuple[str, str, dict[str, Any]]) -> Reports:
    """Return what each policy reports of a stack.

    Args:
        resources: URN, type and outputs of each resource.
    """
    reports = Reports()
    listed = [
        PolicyResource(
            kind, unknown_checking_proxy(outputs), urn, "it", options(False), None, None, [], {}
        )
        for urn, kind, outputs in resources
    ]
    for policy in POLICIES:
        if isinstance(policy, StackValidationPolicy):
            policy.validate(StackValidationArgs(listed, None, None), reports.of(policy.name))
    return reports
