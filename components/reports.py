"""What Jobs tell users on the page: a ConfigMap that they write, and that the auth proxy serves.

The program creates it without content. With server-side apply it owns only the fields that it sets,
so no update takes the content away:
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

import pulumi
import pulumi_kubernetes as kubernetes

from components.metadata import labels
from components.script_job import CREDENTIALS_FOLDER

REPORTS = "registry-reports"
"""The name of the maintenance's ConfigMap, and of the service account that may write it."""

FINDINGS = "registry-findings"
"""The same of the scan."""


def reports(
    name: str,
    config_map: str,
    namespace: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Create a ConfigMap, and an account that may read and change it, and nothing else."""
    metadata: kubernetes.meta.v1.ObjectMetaArgsDict = {
        "name": config_map,
        "namespace": namespace,
        "labels": labels("reports"),
    }
    kubernetes.core.v1.ConfigMap(name, metadata=metadata, opts=opts)
    kubernetes.core.v1.ServiceAccount(f"{name}-account", metadata=metadata, opts=opts)
    role = kubernetes.rbac.v1.Role(
        f"{name}-role",
        metadata=metadata,
        rules=[
            {
                "api_groups": [""],
                "resources": ["configmaps"],
                "resource_names": [config_map],
                "verbs": ["get", "patch"],
            }
        ],
        opts=opts,
    )
    kubernetes.rbac.v1.RoleBinding(
        f"{name}-role-binding",
        metadata=metadata,
        role_ref={
            "api_group": "rbac.authorization.k8s.io",
            "kind": "Role",
            "name": role.metadata.name,
        },
        subjects=[{"kind": "ServiceAccount", "name": config_map, "namespace": namespace}],
        opts=opts,
    )


def rights_key(pull: Iterable[str]) -> str:
    """Return what stands for the repositories that a user may pull, in the names of reports.

    With other rights it is another one: the report of before is not served from then on.
    """
    return hashlib.sha256(json.dumps(patterns_of(pull)).encode()).hexdigest()[:16]


def patterns_of(pull: Iterable[str]) -> list[str]:
    """Return the patterns of the repositories that a user may pull, each once, in order."""
    patterns = sorted(set(pull))
    return ["*"] if "*" in patterns else patterns


def rights_by_key(users: Iterable[Sequence[str]]) -> str:
    """Return the rights to pull of some users as JSON, as scripts/shared/reports.py reads them."""
    return json.dumps({rights_key(pull): patterns_of(pull) for pull in users}, sort_keys=True)


def report_arguments(
    namespace: pulumi.Input[str], config_map: str, users: Iterable[Sequence[str]]
) -> list[pulumi.Input[str]]:
    """Return the arguments of a script that writes reports into a ConfigMap."""
    return [
        pulumi.Output.format("--reports={0}/{1}", namespace, config_map),
        f"--rights={rights_by_key(users)}",
        f"--credentials={CREDENTIALS_FOLDER}",
    ]
