"""Security contexts of the "restricted" Pod Security Standard.

https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

import pulumi_kubernetes as kubernetes

USER_ID = 65532
"""The user ID of distroless images: above 10000, so that it is no user of the node."""

SECCOMP_PROFILE: kubernetes.core.v1.SeccompProfileArgsDict = {"type": "RuntimeDefault"}


def restricted_container() -> kubernetes.core.v1.SecurityContextArgsDict:
    """Return the security context of a container without privileges or a writable root."""
    return {
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def restricted_pod() -> kubernetes.core.v1.PodSecurityContextArgsDict:
    """Return the security context of a pod that runs as :data:`USER_ID`."""
    return {
        "run_as_non_root": True,
        "run_as_user": USER_ID,
        "run_as_group": USER_ID,
        "fs_group": USER_ID,
        "seccomp_profile": SECCOMP_PROFILE,
    }
