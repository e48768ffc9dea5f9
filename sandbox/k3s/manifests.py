"""The objects that k3s creates in its cluster, as far as the sandbox has them."""

from __future__ import annotations

from typing import Any

from sandbox.k3s import coredns, kube_router, traefik
from sandbox.layout import Layout


def manifests(layout: Layout) -> dict[str, Any]:
    """Return a Kubernetes ``List`` of all these objects, each after those that it needs.

    The CRDs are not in it: the toolchain copies them from their modules (``pinned_tools.CRDS``).
    """
    items = [
        *kube_router.manifests(),
        *coredns.manifests(layout),
        *traefik.manifests(layout),
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}
