"""The auth proxy's servers beside the one for clients: probe, maintenance, metrics and redirect."""

from __future__ import annotations

from typing import Any

from components.registry.caddy import error, error_routes, matches, respond
from components.registry.oci_routes import FORGET_PATH
from components.registry.user_rules import ProxyUser, authenticate

REDIRECT_PORT = 5080
"""The port that redirects every request to HTTPS."""

PROBE_PORT = 5081
"""The port for the kubelet."""

MAINTENANCE_PORT = 5082
"""The port for the maintenance, which deletes what no image needs."""

METRICS_PORT = 5083
"""The port for Prometheus."""

METRICS_PATH, PROXY_METRICS_PATH = "/metrics", "/metrics/auth-proxy"
"""The paths of the registry's metrics, and of its own."""

METRICS_ADDRESS = "127.0.0.1:5002"
"""Where the registry serves metrics, and much else."""

REGISTRY_ADDRESS = "127.0.0.1:5001"
"""Where the registry listens: nothing outside of its pod reaches it."""

READY_PATH = "/ready"
"""The path on :data:`PROBE_PORT` that says whether the storage responds to signed requests."""


def to_registry(transport: dict[str, Any], **more: object) -> dict[str, Any]:
    """Return the handler that passes a request on to the registry."""
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": REGISTRY_ADDRESS}],
        "transport": {"protocol": "http", "compression": False, **transport},
        "headers": {
            "request": {
                "delete": ["Authorization", "Upgrade"],
                # The registry would read the query's parameters from a form, too.
                "replace": {
                    "Content-Type": [
                        {
                            "search_regexp": "^(?i:application/x-www-form-urlencoded|multipart/).*",
                            "replace": "application/octet-stream",
                        }
                    ]
                },
            }
        },
        **more,
    }


def probe_server() -> dict[str, Any]:
    """Return the server that the kubelet asks whether the pod is ready.

    It asks the registry for a blob that is nowhere, for which the registry sends the storage a
    signed request. Any response but "no such blob" means that the storage does not work. The
    registry's own health checks have no timeout, or send no signed requests.
    """
    ready = to_registry(
        {},
        # The registry may be starting.
        load_balancing={"try_duration": "3s"},
        rewrite={"method": "HEAD", "uri": f"/v2/readiness/blobs/sha256:{'0' * 64}"},
        handle_response=[
            {"match": {"status_code": [404]}, "routes": [respond(200)]},
            {"routes": [respond(503)]},
        ],
    )
    return {
        "listen": [f":{PROBE_PORT}"],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "routes": [{"match": [{"path": [READY_PATH]}], "handle": [ready]}],
    }


def maintenance_server(user: ProxyUser) -> dict[str, Any]:
    """Return the server that makes the registry forget that blobs exist, and does nothing else.

    scripts/maintenance/registry_pods.py says how.
    """
    forget = {"method": ["DELETE"], **matches("{http.request.orig_uri}", FORGET_PATH)}
    return {
        "listen": [f":{MAINTENANCE_PORT}"],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "routes": [
            {"match": [{"not": [forget]}], "handle": [error(404)]},
            *authenticate([user]),
            {"handle": [{"handler": "request_body", "max_size": 1}, to_registry({})]},
        ],
        "errors": {"routes": error_routes()},
    }


def metrics_server() -> dict[str, Any]:
    """Return the server of metrics, and of nothing else that the registry serves beside them."""
    registry = {"handler": "reverse_proxy", "upstreams": [{"dial": METRICS_ADDRESS}]}
    return {
        "listen": [f":{METRICS_PORT}"],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "routes": [
            {
                "match": [matches("{http.request.orig_uri}", path) | {"method": ["GET"]}],
                "handle": [handler],
                "terminal": True,
            }
            for path, handler in (
                (METRICS_PATH, registry),
                (PROXY_METRICS_PATH, {"handler": "metrics"}),
            )
        ]
        + [respond(404)],
    }


def redirect_server() -> dict[str, Any]:
    """Return the server that redirects every request to HTTPS."""
    location = {"Location": ["https://{http.request.host}{http.request.uri}"]}
    return {
        "listen": [f":{REDIRECT_PORT}"],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "routes": [respond(308, headers=location)],
    }
