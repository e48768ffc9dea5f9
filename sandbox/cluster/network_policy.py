"""What the enforcer of network policies may read (see sandbox/network_policy.py)."""

from __future__ import annotations

from typing import Any

from sandbox.cluster.rbac import cluster_role, may

USER = "sandbox:network-policy"
"""The enforcer's name to the API server."""


def manifests() -> list[Any]:
    """Give the rights to list and watch what policies are about."""
    rules = [
        may("list watch", "", "namespaces", "pods"),
        may("list watch", "networking.k8s.io", "networkpolicies"),
    ]
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}
    return cluster_role(USER, rules, subject)
