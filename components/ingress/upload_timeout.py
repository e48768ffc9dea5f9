"""How long one layer's upload may take, in words and in the values of Traefik's Helm chart."""

from __future__ import annotations

import textwrap

import yaml

DEFAULT_SECONDS = 60
"""Traefik's own limit for reading a request, which k3s leaves as it is:
https://doc.traefik.io/traefik/reference/install-configuration/entrypoints/"""


def traefik_values(entry_point: str, seconds: int) -> str:
    """Write the values for k3s' Traefik that give one request so long.

    https://github.com/traefik/traefik-helm-chart/blob/master/traefik/VALUES.md

    Args:
        entry_point: The entry point that the registry is behind, ``web`` or ``websecure``.
        seconds: How long.
    """
    timeouts = {"respondingTimeouts": {"readTimeout": f"{seconds}s"}}
    return yaml.safe_dump({"ports": {entry_point: {"transport": timeouts}}})


def traefik_patch(entry_point: str, seconds: int) -> str:
    """Say how to put these values into a HelmChartConfig that somebody else made.

    Args:
        entry_point: As for :func:`traefik_values`.
        seconds: The same.
    """
    values = textwrap.indent(traefik_values(entry_point, seconds), "    ")
    return (
        "kubectl edit --namespace kube-system helmchartconfig traefik\n"
        "and merge this into what is there:\n"
        f"spec:\n  valuesContent: |-\n{values}"
    )


def upload_limit() -> str:
    """Say how large a layer can be while Traefik's limit is at its default."""
    sizes = " and ".join(
        # Bits to bytes; what HTTP and TLS add is below 1 %.
        f"{DEFAULT_SECONDS * rate // 8} MB at {rate} Mbit/s"
        for rate in (20, 100)
    )
    return (
        f"Traefik cuts an upload after {DEFAULT_SECONDS} s: a layer can have {sizes} of uplink. "
        "For larger ones: pulumi config set --path ingress.uploadTimeout 600"
    )
