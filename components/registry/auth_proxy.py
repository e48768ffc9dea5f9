"""The configuration of the auth proxy: Caddy, which alone connects to the registries.

It serves the routes of the OCI distribution specification and nothing else, and decides by user,
method and repository: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
The configuration is in Caddy's own format: https://caddyserver.com/docs/json/
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from components.caddy import (
    AUDIT_LOG,
    BODY,
    HEADERS,
    HSTS,
    READ_ONLY,
    error,
    error_routes,
    logging,
    matches,
)
from components.network import PORT
from components.registry.cache_routes import cache_routes, named_routes
from components.registry.immutable_tags import keep_tags, refuse_another
from components.registry.oci_routes import (
    CONTENT_RANGE,
    LONG_NAME,
    OPERATIONS,
    PATHS,
    RIGHTS,
    START,
    START_WITH_BODY,
    Operation,
)
from components.registry.page import page_kind, page_routes, refuse_other_sites
from components.registry.places import hand_over, place_routes, take_place
from components.registry.side_servers import (
    maintenance_server,
    metrics_server,
    probe_server,
    redirect_server,
    to_registry,
)
from components.registry.two_registries import choose_registry
from components.registry.user_rules import (
    LOG_SKIP,
    REPOSITORY,
    ProxyUser,
    authenticate,
    authorize,
)
from settings.immutable import ImmutableRule
from settings.names import SMOKE_TEST_USER

SHUTDOWN_DELAY_SECONDS = 5
"""How long a stopping pod still takes requests, until every ingress controller knows of it."""

HSTS_SECONDS = 31536000
"""A year, the least that browsers' preload lists take: https://hstspreload.org/"""

LIMITS = {
    # Go adds 4 KiB. The longest that clients send is a name of 255 characters, twice.
    "max_header_bytes": 1024,
    "read_header_timeout": "10s",
    # Until components/registry/places.py gives a body more: only refused ones are read so early.
    "read_idle_timeout": "2s",
}
"""What a connection may take of memory, and how long, before a login."""


def auth_proxy_config(
    *,
    users: Sequence[ProxyUser],
    maintenance: ProxyUser,
    read_only: bool,
    metrics: bool,
    parallel_uploads: int,
    tls: bool,
    tcp_route: bool,
    immutable: Mapping[str, ImmutableRule],
    admin: str,
    caches: Sequence[str] = (),
    scan: bool = False,
    page: bool = False,
) -> str:
    """Return the configuration, in JSON.

    Args:
        maintenance: The only user of the maintenance's port.
        read_only: Whether only the smoke test may push.
        tcp_route: Whether the ingress controller passes connections on, and tells the client's
            address by the PROXY protocol; else it passes requests on, and tells it by a header.
        immutable: The tags that stay what they are, as rules by name.
        admin: The admin's name.
        caches: The names of the caches of other registries.
        scan: Whether images are scanned.
        page: Whether there is a page for browsers.
    """
    server: dict[str, Any] = {
        "listen": [f":{PORT}"],
        # Over HTTP/2, a megabyte would be taken from each client that waits.
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        **LIMITS,
        "logs": {"default_logger_name": AUDIT_LOG},
        "routes": [
            *_routes(users, tls, page, scan),
            *(page_routes(users, scan=scan) if page else []),
            *cache_routes(caches),
            *(_refuse_writes() if read_only else []),
            *_serve(users, parallel_uploads, immutable, admin),
        ],
        "errors": {"routes": [hand_over(PORT, proxy_protocol=tcp_route), *error_routes(PORT)]},
        **named_routes(caches),
    }
    if tcp_route:
        # USE, not REQUIRE: the smoke test connects without it.
        server["listener_wrappers"] = [
            {"wrapper": "proxy_protocol", "fallback_policy": "USE", "timeout": "5s"}
        ]
    else:
        # Network policies admit the ingress controller only, and its address is private. The
        # loopback's is this proxy's own: components/registry/places.py
        server["trusted_proxies"] = {
            "source": "static",
            "ranges": ["127.0.0.1/32", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
        }
    servers = {
        "registry": server,
        "probe": probe_server(),
        "maintenance": maintenance_server(maintenance),
    }
    if metrics:
        servers["metrics"] = metrics_server(findings=scan)
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


def _routes(users: Sequence[ProxyUser], tls: bool, page: bool, scan: bool) -> list[dict[str, Any]]:
    """Return the steps before the last; each either ends a request or lets it pass to the next."""
    headers = {name: [value] for name, value in HEADERS.items()}
    if tls:
        headers[HSTS] = [f"max-age={HSTS_SECONDS}"]
    logged = {
        "kind": "{http.vars.kind}",
        "repository": REPOSITORY,
        "reference": "{http.regexp.route.reference}",
        "digest": "{http.response.header.Docker-Content-Digest}",
        # How often it looked for a place.
        "waited": "{http.reverse_proxy.retries}",
    }
    return [
        {"handle": [{"handler": "headers", "response": {"set": headers}}]},
        {
            # Clients let go of their connections before this pod closes them.
            "match": [{"vars": {"{http.shutting_down}": ["true"]}}],
            "handle": [{"handler": "headers", "response": {"set": {"Connection": ["close"]}}}],
        },
        *([refuse_other_sites(), page_kind(scan=scan)] if page else []),
        *(
            {
                "group": "kind",
                "match": [matches("{http.request.orig_uri}", path, name="route")],
                "handle": [{"handler": "vars", "kind": kind, "allowed": _methods(kind)}],
            }
            for kind, path in PATHS.items()
        ),
        {"group": "kind", "handle": [LOG_SKIP, error(404)]},
        {"match": [matches(REPOSITORY, LONG_NAME)], "handle": [LOG_SKIP, error(404)]},
        {
            "handle": [
                {"handler": "log_append", "key": key, "value": value}
                for key, value in logged.items()
            ]
        },
        *authenticate(users),
        *authorize(users),
        {
            "match": [{"vars": {"operation": [START]}, **body} for body in BODY],
            "handle": [{"handler": "vars", "operation": START_WITH_BODY}],
        },
    ]


def _methods(kind: str) -> str:
    """Return the methods of a kind of route, as the header Allow has them."""
    methods = [name.split()[1] for x in OPERATIONS if x.kind == kind for name in x.names]
    return ", ".join(dict.fromkeys(methods))


def _refuse_writes() -> list[dict[str, Any]]:
    """Return the step that refuses all pushes and deletes but those of the smoke test."""
    writes = [name for x in OPERATIONS if x.right == "push" for name in x.names]
    smoke_test = {"vars": {"{http.auth.user.id}": [SMOKE_TEST_USER]}}
    return [
        {
            "match": [{"vars": {"operation": writes}, "not": [smoke_test]}],
            "handle": [error(READ_ONLY)],
        }
    ]


def _serve(
    users: Sequence[ProxyUser],
    parallel_uploads: int,
    immutable: Mapping[str, ImmutableRule],
    admin: str,
) -> list[dict[str, Any]]:
    """Return the routes that end a request: the first that matches, but for those of a body."""
    known = [name for operation in OPERATIONS for name in operation.names]
    bodiless = [name for operation in OPERATIONS if not operation.pool for name in operation.names]
    chunks = [name for x in OPERATIONS if x.pool and x.kind == "upload" for name in x.names]
    odd_range = {"not": [matches("{http.request.header.Content-Range}", f"|{CONTENT_RANGE}")]}
    return [
        {
            "match": [{"vars": {"operation": bodiless}, **body} for body in BODY],
            "handle": [error(413)],
        },
        {"match": [{"vars": {"operation": chunks}, **odd_range}], "handle": [error(416)]},
        *(
            {
                "match": [
                    {
                        "vars": {"operation": x.names},
                        **matches("right", "|".join(RIGHTS[RIGHTS.index(x.right) :])),
                    }
                ],
                "handle": [*keep_tags(x, immutable, admin), *_handlers(x)],
                "terminal": not x.pool,
            }
            for x in OPERATIONS
        ),
        *place_routes(users, parallel_uploads, refuse_another(immutable)),
        {"match": [{"vars": {"operation": known}}], "handle": [error(403)]},
        {"handle": [error(405)]},
    ]


def _handlers(operation: Operation) -> list[dict[str, Any]]:
    query = {name: f"{{http.request.uri.query.{name}}}" for name in operation.query}
    handlers: list[dict[str, Any]] = [
        *([] if operation.logged else [LOG_SKIP]),
        # The first: what chooses a registry may look into a body.
        *(take_place(operation.pool) if operation.pool else []),
        *choose_registry(operation),
        *([_mount_or_start()] if operation.kind == "uploads" else [_set_query(query)]),
    ]
    if operation.pool:
        return handlers
    headers = {name: f"{{http.request.header.{name}}}" for name in operation.headers}
    return [*handlers, to_registry(headers)]


def _mount_or_start() -> dict[str, Any]:
    """Return the handler that lets an upload be a mount only if the user may pull from its source.

    What was decided on is what the registry gets.
    """
    mount = {"mount": "{http.request.uri.query.mount}", "from": "{http.vars.source}"}
    # Whoever may pull everything may pull from no repository, too.
    allowed = {"vars": {"mount": ["yes"]}, **matches("source", ".+")}
    routes = [
        {"group": "query", "match": [allowed], "handle": [_set_query(mount)]},
        {"group": "query", "handle": [_set_query({})]},
    ]
    return {"handler": "subroute", "routes": routes}


def _set_query(parameters: Mapping[str, str]) -> dict[str, Any]:
    # Caddy escapes what stands for placeholders.
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return {"handler": "rewrite", "uri": f"?{query}"}
