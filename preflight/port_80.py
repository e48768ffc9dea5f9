"""Whether an ACME server's challenge gets through Traefik, which may redirect port 80 itself."""

from __future__ import annotations

import json
import re
from typing import Any

from preflight.cluster import Cluster
from preflight.errors import NotReadyError
from settings import Settings
from settings.names import ROUTE_PRIORITY
from settings.problems import Problem

PRIORITY_OPTION = "--entryPoints.web.http.redirections.entryPoint.priority"

_REDIRECTION = re.compile(
    r"--entrypoints\.web\.http\.redirections\.entrypoint\.(to|priority)=(.+)", re.IGNORECASE
)
"""https://doc.traefik.io/traefik/reference/install-configuration/entrypoints/#opt-http-redirections-entryPoint-priority"""


def by_http_01(settings: Settings) -> bool:
    """Return whether an ACME server may look for its challenge behind Traefik."""
    return settings.tls.mode in (
        "letsEncrypt",
        "certManager",
    )


def redirected(settings: Settings, cluster: Cluster) -> Problem | None:
    """Return whether Traefik redirects challenges before any Ingress gets them.

    A cluster that does not show Traefik's pods says nothing of it.
    """
    if not by_http_01(settings):
        return None
    try:
        options = _redirection(cluster.items(traefik_pods(settings)))
    except NotReadyError:
        return None
    # cert-manager's route has the length of its rule, which contains the hostname.
    ours = ROUTE_PRIORITY if settings.tls.mode == "letsEncrypt" else len(settings.hostname)
    if "to" not in options or int(options.get("priority", ROUTE_PRIORITY)) < ours:
        return None
    return Problem(
        "tls.mode",
        json.dumps(settings.tls.mode),
        "Traefik redirects all of port 80 to HTTPS before it looks at any Ingress, so an ACME "
        "server's HTTP-01 challenge does not arrive, and there will be no certificate",
        f"add to additionalArguments in Traefik's HelmChartConfig: {PRIORITY_OPTION}=1\n"
        "docs/ingress.md#a-traefik-that-redirects-port-80 has all of it",
    )


def traefik_pods(settings: Settings) -> str:
    """Return the path of Traefik's pods in the API; the chart labels them."""
    namespace = settings.ingress.controller_namespace
    return f"/api/v1/namespaces/{namespace}/pods?labelSelector=app.kubernetes.io/name=traefik"


def _redirection(pods: list[dict[str, Any]]) -> dict[str, str]:
    return {
        match[1].lower(): match[2]
        for pod in pods
        for container in pod["spec"]["containers"]
        for argument in (*container.get("command", []), *container.get("args", []))
        if (match := _REDIRECTION.fullmatch(argument))
    }
