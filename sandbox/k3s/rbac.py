"""Objects that give one name some rights in the whole cluster."""

from __future__ import annotations

from typing import Any

_GROUP = "rbac.authorization.k8s.io"


def cluster_role(name: str, rules: list[dict[str, Any]], subject: dict[str, str]) -> list[Any]:
    """Make a ClusterRole and its ClusterRoleBinding.

    Args:
        name: Of both.
        rules: As in ``ClusterRole.rules``.
        subject: Who gets the rights, as in ``ClusterRoleBinding.subjects``.
    """
    role = {"apiGroup": _GROUP, "kind": "ClusterRole", "name": name}
    common = {"apiVersion": f"{_GROUP}/v1", "metadata": {"name": name}}
    return [
        {**common, "kind": "ClusterRole", "rules": rules},
        {**common, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [subject]},
    ]


def may(verbs: str, group: str, *resources: str) -> dict[str, Any]:
    """Make one rule.

    Args:
        verbs: Separated by spaces: ``get list watch``.
        group: The API group; empty for the core's.
        resources: Plural names, with ``/status`` and the like.
    """
    return {"apiGroups": [group], "resources": list(resources), "verbs": verbs.split()}


def service_account(name: str, namespace: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Make a ServiceAccount, and the subject that means it."""
    names = {"name": name, "namespace": namespace}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": names}
    return account, {"kind": "ServiceAccount", **names}
