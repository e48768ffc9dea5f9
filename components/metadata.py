"""Labels and annotations that several components put on Kubernetes objects."""

from __future__ import annotations

SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
"""Do not wait for an object to become ready: the smoke test shows more, and sooner.
https://www.pulumi.com/registry/packages/kubernetes/installation-configuration/"""

MAINTENANCE = "maintenance"
"""The name of the CronJob that looks after the storage, which alerts know."""

BACKUP = "backup"
"""The name of the CronJob that copies the storage, which alerts know."""

SCAN = "scan"
"""The name of the CronJob that looks for vulnerabilities; likewise."""


def labels(component: str) -> dict[str, str]:
    """Return the recommended labels of one component of the registry.

    https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
    """
    return {"app.kubernetes.io/name": "registry", "app.kubernetes.io/component": component}
