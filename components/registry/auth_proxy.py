"""The configuration of the auth proxy: Caddy, which alone connects to the registry.

It serves the routes of the OCI distribution specification and nothing else, and decides by user,
method and repository: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
The configuration is in Caddy's own format: https://caddyserver.com/docs/json/
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from components.registry.caddy import AUDIT_LOG, error, error_routes, logging, matches, respond
from components.registry.oci_routes import OPERATIONS, PATHS, RIGHTS, Operation
from components.registry.user_rules import (
    LOG_SKIP,
    REPOSITORY,
    ProxyUser,
    authenticate,
    authorize,
)

PORT = 5000
"""The port for clients."""

REDIRECT_PORT = 5080
"""The port that redirects every request to HTTPS."""

PROBE_PORT = 5081
"""The port for the kubelet."""

REGISTRY_ADDRESS = "127.0.0.1:5001"
"""Where the registry listens: nothing outside of its pod reaches it."""

READY_PATH = "/ready"
"""The path on :data:`PROBE_PORT` that says whether the storage answers signed requests."""

SHUTDOWN_DELAY_SECONDS = 5
"""How long a stopping pod still takes requests, until every ingress controller knows of it."""

HSTS_SECONDS = 31536000
"""A year, the least that browsers' preload lists take: https://hstspreload.org/"""


def auth_proxy_config(
    *, users: Sequence[ProxyUser], parallel_uploads: int, tls: bool, tcp_route: bool
) -> str:
    """Return the configuration, in JSON.

    Args:
        users: Everybody who may log in.
        parallel_uploads: How many uploads the registry takes at a time; more wait.
        tls: Whether clients come through TLS.
        tcp_route: Whether the ingress controller passes connections on, and tells the client's
            address by the PROXY protocol; else it passes requests on, and tells it by a header.
    """
    server: dict[str, Any] = {
        "listen": [f":{PORT}"],
        # HTTP/2 without TLS is what clients speak whose TLS was terminated before.
        "protocols": ["h1", "h2c"],
        "automatic_https": {"disable": True},
        "logs": {"default_logger_name": AUDIT_LOG},
        "routes": _routes(users, parallel_uploads, tls),
        "errors": {"routes": error_routes()},
    }
    if tcp_route:
        # USE, not REQUIRE: the smoke test connects without it.
        server["listener_wrappers"] = [{"wrapper": "proxy_protocol", "fallback_policy": "USE"}]
    else:
        # Network policies admit the ingress controller only, and its address is private.
        server["trusted_proxies"] = {
            "source": "static",
            "ranges": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
        }
    servers = {"registry": server, "probe": _probe_server()}
    if tcp_route:
        servers["redirect"] = _redirect_server()
    config = {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": logging(),
        # No grace period: it would cut uploads when users change. The pod's own ends the process.
        "apps": {"http": {"shutdown_delay": f"{SHUTDOWN_DELAY_SECONDS}s", "servers": servers}},
    }
    return json.dumps(config, indent=1) + "\n"


def _routes(users: Sequence[ProxyUser], parallel_uploads: int, tls: bool) -> list[dict[str, Any]]:
    """Return the steps of a request; each either ends it or lets it pass to the next."""
    headers = {"X-Content-Type-Options": ["nosniff"]}
    if tls:
        headers["Strict-Transport-Security"] = [f"max-age={HSTS_SECONDS}"]
    logged = {
        "kind": "{http.vars.kind}",
        "repository": REPOSITORY,
        "reference": "{http.regexp.route.reference}",
        "digest": "{http.response.header.Docker-Content-Digest}",
    }
    return [
        {"handle": [{"handler": "headers", "response": {"set": headers}}]},
        {
            # Clients let go of their connections before this pod closes them.
            "match": [{"vars": {"{http.shutting_down}": ["true"]}}],
            "handle": [{"handler": "headers", "response": {"set": {"Connection": ["close"]}}}],
        },
        *(
            {
                "group": "kind",
                "match": [matches("{http.request.orig_uri}", path, name="route")],
                "handle": [{"handler": "vars", "kind": kind}],
            }
            for kind, path in PATHS.items()
        ),
        {"group": "kind", "handle": [LOG_SKIP, error(404)]},
        {
            "handle": [
                {"handler": "log_append", "key": key, "value": value}
                for key, value in logged.items()
            ]
        },
        *authenticate(users),
        *authorize(users),
        *_serve(parallel_uploads),
    ]


def _serve(parallel_uploads: int) -> list[dict[str, Any]]:
    """Return the routes that end a request: the first that matches."""
    known = [f"{x.kind} {method}" for x in OPERATIONS for method in x.methods]
    return [
        {
            # A mount becomes an upload where the user may not pull from its source.
            "match": [
                {"vars": {"operation": ["uploads POST"]}, "not": [{"vars": {"mount": ["yes"]}}]}
            ],
            "handle": [{"handler": "rewrite", "uri": "?"}],
        },
        *(
            {
                "match": [
                    {
                        "vars": {"operation": [f"{x.kind} {method}" for method in x.methods]},
                        **matches("right", "|".join(RIGHTS[RIGHTS.index(x.right) :])),
                    }
                ],
                "handle": _handlers(x, parallel_uploads),
                "terminal": True,
            }
            for x in OPERATIONS
        ),
        {"match": [{"vars": {"operation": known}}], "handle": [error(403)]},
        {"handle": [error(405)]},
    ]


def _handlers(operation: Operation, parallel_uploads: int) -> list[dict[str, Any]]:
    handlers = [] if operation.logged else [LOG_SKIP]
    transport: dict[str, Any] = {}
    if operation.limited:
        # Each takes one connection, and further ones wait for it.
        transport["max_conns_per_host"] = parallel_uploads
    if not {"POST", "PUT", "PATCH"} & set(operation.methods):
        # Zero would be no limit.
        handlers.append({"handler": "request_body", "max_size": 1})
    return [*handlers, _registry(transport)]


def _registry(transport: dict[str, Any], **more: object) -> dict[str, Any]:
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


def _probe_server() -> dict[str, Any]:
    """Return the server that the kubelet asks whether the pod is ready.

    It asks the registry for a blob that is nowhere, for which the registry sends the storage a
    signed request. Any response but "no such blob" means that the storage does not work. The
    registry's own health checks have no timeout, or send no signed requests.
    """
    ready = _registry(
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


def _redirect_server() -> dict[str, Any]:
    location = {"Location": ["https://{http.request.host}{http.request.uri}"]}
    return {
        "listen": [f":{REDIRECT_PORT}"],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "routes": [respond(308, headers=location)],
    }
