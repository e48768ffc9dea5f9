"""Why there is no certificate yet, from where an ACME client and cert-manager say it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

CHALLENGE_PATH = "/.well-known/acme-challenge"
"""https://datatracker.ietf.org/doc/html/rfc8555#section-8.3"""

TIMEOUT_SECONDS = 5
"""For one response, which takes milliseconds."""

_LINES = 100
"""Of the ACME client's log: it writes about ten for each try."""


def why_missing(
    mode: str, hostname: str, namespace: str, get: Callable[[str], str], port: int = 80
) -> str:
    """Return the reason in one line; empty if nothing tells it."""
    if mode not in ("letsEncrypt", "certManager"):
        return ""
    # cert-manager's path is there only while it waits: the registry's own Ingress redirects others.
    if mode == "letsEncrypt" and _redirects(hostname, port):
        return (
            f"http://{hostname} redirects all to HTTPS, also an ACME server's challenge: "
            "docs/ingress.md#a-traefik-that-redirects-port-80"
        )
    told = _of_client if mode == "letsEncrypt" else _of_cert_manager
    return " ".join("; ".join(told(namespace, get)).split())


def _redirects(hostname: str, port: int) -> bool:
    """Return whether challenges are redirected; what cannot be reached from here says nothing."""
    connection = http.client.HTTPConnection(hostname, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", f"{CHALLENGE_PATH}/is-it-redirected")
        location = connection.getresponse().getheader("Location", "")
        return location.startswith("https:")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _of_client(namespace: str, get: Callable[[str], str]) -> Iterator[str]:
    """Yield the last error in the log of the ACME client: lines of JSON, as Caddy writes them."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    for pod in _items(get(f"{pods}?labelSelector=app.kubernetes.io/component=acme-client")):
        log = get(f"{pods}/{pod['metadata']['name']}/log?container=acme-client&tailLines={_LINES}")
        errors = [line["error"] for line in map(_parsed, log.splitlines()) if line.get("error")]
        if errors:
            yield str(errors[-1])


def _of_cert_manager(namespace: str, get: Callable[[str], str]) -> Iterator[str]:
    """Yield what cert-manager waits for: https://cert-manager.io/docs/troubleshooting/acme/."""
    kinds = {
        "challenges": "acme.",
        "orders": "acme.",
        "certificaterequests": "",
        "certificates": "",
    }
    for kind, group in kinds.items():
        path = f"/apis/{group}cert-manager.io/v1/namespaces/{namespace}/{kind}"
        reasons = [
            text
            for item in _items(get(path))
            for text in (
                item.get("status", {}).get("reason"),
                *(
                    condition.get("message")
                    for condition in item.get("status", {}).get("conditions", [])
                    if condition["type"] == "Ready" and condition["status"] != "True"
                ),
            )
            if text
        ]
        if reasons:
            yield from reasons
            return


def _items(text: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = _parsed(text).get("items", [])
    return items


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
