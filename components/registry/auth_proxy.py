"""The configuration of the auth proxy: Caddy, which alone connects to the registries.

It serves the routes of the OCI distribution specification and nothing else, and decides by user,
method and repository: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
The configuration is in Caddy's own format: https://caddyserver.com/docs/json/
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from components.registry.caddy import (
    AUDIT_LOG,
    READ_ONLY,
    error,
    error_routes,
    logging,
    matches,
)
from components.registry.oci_routes import OPERATIONS, PATHS, RIGHTS, Operation
from components.registry.side_servers import (
    maintenance_server,
    metrics_server,
    probe_server,
    redirect_server,
)
from components.registry.two_registries import to_registries
from components.registry.user_rules import (
    LOG_SKIP,
    REPOSITORY,
    ProxyUser,
    authenticate,
    authorize,
)
from settings.names import SMOKE_TEST_USER

PORT = 5000
"""The port for clients."""

SHUTDOWN_DELAY_SECONDS = 5
"""How long a stopping pod still takes requests, until every ingress controller knows of it."""

HSTS_SECONDS = 31536000
"""A year, the least that browsers' preload lists take: https://hstspreload.org/"""


def auth_proxy_config(
    *,
    users: Sequence[ProxyUser],
    maintenance: ProxyUser,
    read_only: bool,
    metrics: bool,
    parallel_uploads: int,
    tls: bool,
    tcp_route: bool,
) -> str:
    """Return the configuration, in JSON.

    Args:
        users: Everybody who may log in.
        maintenance: The only user of the maintenance's port.
        read_only: Whether only the smoke test may push.
        metrics: Whether metrics are served.
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
        "routes": [
            *_routes(users, tls),
            *(_refuse_writes() if read_only else []),
            *_serve(parallel_uploads),
        ],
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
    servers = {
        "registry": server,
        "probe": probe_server(),
        "maintenance": maintenance_server(maintenance),
    }
    if metrics:
        servers["metrics"] = metrics_server()
    if tcp_route:
        servers["redirect"] = redirect_server()
    config = {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": logging(),
        # No grace period: it would cut uploads when users change. The pod's own ends the process.
        "apps": {
            "http": {
                "shutdown_delay": f"{SHUTDOWN_DELAY_SECONDS}s",
                "servers": servers,
                **({"metrics": {}} if metrics else {}),
            }
        },
    }
    return json.dumps(config, indent=1) + "\n"


def _routes(users: Sequence[ProxyUser], tls: bool) -> list[dict[str, Any]]:
    """Return the steps before the last; each either ends a request or lets it pass to the next."""
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
    ]


def _refuse_writes() -> list[dict[str, Any]]:
    """Return the step that refuses all pushes and deletes but those of the smoke test."""
    writes = [f"{x.kind} {method}" for x in OPERATIONS if x.right == "push" for method in x.methods]
    smoke_test = {"vars": {"{http.auth.user.id}": [SMOKE_TEST_USER]}}
    return [
        {
            "match": [{"vars": {"operation": writes}, "not": [smoke_test]}],
            "handle": [error(READ_ONLY)],
        }
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
    return [*handlers, *to_registries(operation, transport)]
