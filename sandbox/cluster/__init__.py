"""What runs in the sandbox's cluster before anybody uses it: DNS and ingress, as k3s has them."""

from __future__ import annotations

from typing import Any

from sandbox.cluster import coredns, helm_controller, network_policy, traefik
from sandbox.layout import Layout

NAMESPACE = "kube-system"
"""Where k3s keeps its parts, and so the sandbox."""


def manifests(layout: Layout) -> dict[str, Any]:
    """List all of the cluster's own objects, in the order in which they need each other.

    Args:
        layout: The sandbox.

    Returns:
        A Kubernetes ``List``. The CRDs are not in it: they are files of the toolchain's.
    """
    items = [
        *network_policy.manifests(),
        *helm_controller.manifests(),
        *coredns.manifests(layout),
        *traefik.manifests(layout),
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}
