"""What helm-controller's stand-in may do (see sandbox/helm_controller.py)."""

from __future__ import annotations

from typing import Any

from sandbox.cluster.rbac import cluster_role, may

USER = "sandbox:helm-controller"
"""The stand-in's name to the API server."""


def manifests() -> list[Any]:
    """Give the rights to watch HelmChartConfigs, and to change what a chart made."""
    rules = [
        may("list watch", "helm.cattle.io", "helmchartconfigs"),
        may("get list watch patch", "apps", "deployments"),
    ]
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}
    return cluster_role(USER, rules, subject)
