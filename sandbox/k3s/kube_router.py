"""The rights of k3s' network policy controller, kube-router's, which runs on the node."""

from __future__ import annotations

from typing import Any

from sandbox.k3s.rbac import allow, cluster_role

USER = "sandbox:kube-router"
"""The controller's name to the API server; in k3s it is a user of k3s' own, too."""


def manifests() -> list[Any]:
    """Return the RBAC objects for what the controller reads, as in kube-router's own manifests.

    https://github.com/cloudnativelabs/kube-router/blob/v2.1.0/daemonset/generic-kuberouter.yaml
    """
    rules = [
        allow("get", "", "nodes"),
        allow("list watch", "", "namespaces", "pods"),
        allow("list watch", "networking.k8s.io", "networkpolicies"),
    ]
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}
    return cluster_role(USER, rules, subject)
