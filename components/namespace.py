"""The registry's namespace: what makes a cluster the stack's own, before anything else exists."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from settings.names import STACK_ANNOTATION


def registry_namespace(
    name: str, stack: str, opts: pulumi.ResourceOptions
) -> kubernetes.core.v1.Namespace:
    """Create the namespace that holds all of the registry.

    It is no child of a component, so that ``pulumi import`` finds its place without more.
    """
    return kubernetes.core.v1.Namespace(
        "registry-namespace",
        metadata={
            "name": name,
            "annotations": {STACK_ANNOTATION: stack},
            # https://kubernetes.io/docs/concepts/security/pod-security-standards/
            "labels": {
                "pod-security.kubernetes.io/enforce": "restricted",
                "pod-security.kubernetes.io/warn": "restricted",
            },
        },
        opts=opts,
    )
