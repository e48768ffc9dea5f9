"""RBAC objects for the whole cluster."""

from __future__ import annotations

from typing import Any

_GROUP = "rbac.authorization.k8s.io"


def cluster_role(name: str, rules: list[dict[str, Any]], subject: dict[str, str]) -> list[Any]:
    """Return a ClusterRole and its ClusterRoleBinding.

    Args:
        name: The name of both.
        rules: As in ``ClusterRole.rules``.
        subject: As in ``ClusterRoleBinding.subjects``.
    """
    role = {"apiGroup": _GROUP, "kind": "ClusterRole", "name": name}
    common = {"apiVersion": f"{_GROUP}/v1", "metadata": {"name": name}}
    return [
        {**common, "kind": "ClusterRole", "rules": rules},
        {**common, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [subject]},
    ]


def allow(verbs: str, group: str, *resources: str) -> dict[str, Any]:
    """Return one rule of a ClusterRole.

    Args:
        verbs: Separated by spaces: ``get list watch``.
        group: The API group; empty for the core group.
        resources: Plural names, with ``/status`` and the like.
    """
    return {"apiGroups": [group], "resources": list(resources), "verbs": verbs.split()}


def service_account(name: str, namespace: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a ServiceAccount, and the subject that refers to it."""
    names = {"name": name, "namespace": namespace}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": names}
    return account, {"kind": "ServiceAccount", **names}
