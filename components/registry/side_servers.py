"""The auth proxy's servers beside the one for clients: probe, maintenance, metrics and redirect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.caddy import BODY, PASSED_ON, error, error_routes, matches, respond
from components.network import (
    FINDINGS_METRICS_PATH,
    MAINTENANCE_PORT,
    MANIFESTS_METRICS_PATH,
    METRICS_PATH,
    METRICS_PORT,
    PROBE_PORT,
    PROXY_METRICS_PATH,
    REDIRECT_PORT,
)
from components.registry.oci_routes import FORGET_PATH
from components.registry.user_rules import ProxyUser, authenticate
from scripts.shared.reports import METRICS

METRICS_ADDRESS, MANIFESTS_METRICS_ADDRESS = "127.0.0.1:5002", "127.0.0.1:5004"
"""Where the two registries serve metrics, and much else."""

REGISTRY_ADDRESS, MANIFESTS_ADDRESS = "127.0.0.1:5001", "127.0.0.1:5003"
"""Where the two registries listen: nothing outside of their pod reaches them. Which requests they
get: components/registry/two_registries.py"""

REGISTRY = "{http.vars.registry}"
"""The placeholder of the address that a request is passed on to."""

MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
"""All that the registry stores. It calls one that is not asked for unknown:
https://github.com/distribution/distribution/blob/v3.1.2/registry/handlers/manifests.go"""

FINDINGS_FOLDER = "/srv/findings"
"""Where the auth proxy has the metrics of the scan."""

READY_PATH = "/ready"
"""The path on :data:`PROBE_PORT` that says whether the storage responds to signed requests."""


def use(address: str) -> dict[str, Any]:
    """Return the handler that decides where :func:`to_registry` passes a request on to."""
    return {"handler": "vars", "registry": address}


def known_headers(headers: Mapping[str, str]) -> dict[str, Any]:
    """Return what is done to the headers of a request that is passed on: nothing else is left."""
    known = {
        "Host": "{http.request.hostport}",
        "User-Agent": "{http.request.header.User-Agent}",
        "X-Forwarded-For": "{http.vars.client_ip}",
        **headers,
    }
    return {"delete": ["*"], "set": {name: [value] for name, value in known.items()}}


def to_registry(headers: Mapping[str, str], **more: object) -> dict[str, Any]:
    """Return the handler that passes a request on to the registry.

    Method, path, query and body are what the handlers before have left.

    Args:
        headers: All headers but those that webhooks tell; an empty one counts as none.
        more: Further fields of the handler.
    """
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": REGISTRY}],
        "transport": {"protocol": "http", "compression": False},
        "headers": {"request": known_headers(headers), "response": PASSED_ON},
        **more,
    }


def probe_server() -> dict[str, Any]:
    """Return the server that the kubelet asks whether the pod is ready.

    It asks one registry, then the other, for a blob that is nowhere, for which a registry sends the
    storage a signed request. Any response but "no such blob" means that the storage does not work.
    The registry's own health checks have no timeout, or send no signed requests.
    """
    ready = _probe(REGISTRY_ADDRESS, _probe(MANIFESTS_ADDRESS, respond(200)))
    return {
        "listen": [f":{PROBE_PORT}"],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "routes": [{"match": [{"path": [READY_PATH]}], **ready}],
    }


def _probe(address: str, then: dict[str, Any]) -> dict[str, Any]:
    """Return the route that goes on to another one if the registry at an address works."""
    probe = to_registry(
        {},
        # The registry may be starting.
        load_balancing={"try_duration": "2s"},
        rewrite={"method": "HEAD", "uri": f"/v2/readiness/blobs/sha256:{'0' * 64}"},
        handle_response=[
            {"match": {"status_code": [404]}, "routes": [then]},
            {"routes": [respond(503)]},
        ],
    )
    return {"handle": [use(address), probe]}


def maintenance_server(user: ProxyUser) -> dict[str, Any]:
    """Return the server that makes the registry forget that blobs exist, and does nothing else.

    scripts/maintenance/registry_pods.py says how. The request would delete a manifest as well, so
    the registry that remembers nothing is asked first, and it goes on only if there is none. Only
    the other one remembers.
    """
    forget = {"method": ["DELETE"], **matches("{http.request.orig_uri}", FORGET_PATH)}
    ask = to_registry(
        {"Accept": ", ".join(MANIFEST_TYPES)},
        rewrite={"method": "HEAD"},
        handle_response=[
            {
                "match": {"status_code": [404]},
                "routes": [{"handle": [use(REGISTRY_ADDRESS), to_registry({})]}],
            },
            {"match": {"status_code": [2]}, "routes": [{"handle": [error(403)]}]},
            {"routes": [{"handle": [error(503)]}]},
        ],
    )
    return {
        "listen": [f":{MAINTENANCE_PORT}"],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "routes": [
            {"match": [{"not": [forget]}, *BODY], "handle": [error(404)]},
            *authenticate([user]),
            {"handle": [use(MANIFESTS_ADDRESS), ask]},
        ],
        "errors": {"routes": error_routes(MAINTENANCE_PORT)},
    }


def metrics_server(*, findings: bool) -> dict[str, Any]:
    """Return the server of metrics, and of nothing else that a registry serves beside them.

    Args:
        findings: Whether there are those of the scan.
    """
    registry, manifests = (
        {
            "handler": "reverse_proxy",
            "upstreams": [{"dial": address}],
            "rewrite": {"uri": METRICS_PATH},
        }
        for address in (METRICS_ADDRESS, MANIFESTS_METRICS_ADDRESS)
    )
    handlers: dict[str, list[dict[str, Any]]] = {
        METRICS_PATH: [registry],
        MANIFESTS_METRICS_PATH: [manifests],
        PROXY_METRICS_PATH: [{"handler": "metrics"}],
        **({FINDINGS_METRICS_PATH: _findings()} if findings else {}),
    }
    return {
        "listen": [f":{METRICS_PORT}"],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "routes": [
            {
                "match": [matches("{http.request.orig_uri}", path) | {"method": ["GET"]}],
                "handle": handle,
                "terminal": True,
            }
            for path, handle in handlers.items()
        ]
        + [respond(404)],
    }


def _findings() -> list[dict[str, Any]]:
    """Return the handlers that serve a file, or nothing before the first scan: no failure."""
    kind = {"Content-Type": ["text/plain; version=0.0.4; charset=utf-8"]}
    return [
        {"handler": "headers", "response": {"set": kind}},
        {"handler": "rewrite", "uri": f"/{METRICS}"},
        {"handler": "file_server", "root": FINDINGS_FOLDER, "pass_thru": True},
        {"handler": "static_response", "status_code": 200},
    ]


def redirect_server() -> dict[str, Any]:
    """Return the server that redirects every request to HTTPS."""
    location = {"Location": ["https://{http.request.host}{http.request.uri}"]}
    return {
        "listen": [f":{REDIRECT_PORT}"],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "routes": [respond(308, headers=location)],
    }
