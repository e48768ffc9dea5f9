"""The places of uploads: how many bodies the registry takes at a time, and whose.

Each body takes memory of the registry. Half of the places are everybody's, and the other half is
divided among the users who may push, so that nobody can hold all. What finds no place waits, with
its body in the client, and gives up after a while.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from components.caddy import PASSED_ON, matches
from components.registry.oci_routes import Pool
from components.registry.side_servers import REGISTRY, to_registry
from components.registry.user_rules import ProxyUser

MANIFESTS = 2
"""How many places are for manifests alone: one must not wait for the layers of others."""

WAIT_SECONDS = 120
"""How long a body waits for a place."""

POLL_SECONDS = 0.1
"""How often it looks for one."""

BODY_SECONDS = 300
"""How late a body may be, waiting included, compared with :data:`BODY_RATE`."""

BODY_RATE = 4096
"""The least number of bytes a second. A line of 1 Mbit/s has 7,600 for each of 16 layers."""

HEADERS: dict[Pool, dict[str, str]] = {
    "uploads": {
        # The registry would read the query's parameters from a form, too.
        "Content-Type": "application/octet-stream",
        "Content-Range": "{http.request.header.Content-Range}",
    },
    "manifests": {"Content-Type": "{http.request.header.Content-Type}"},
}
"""The headers that the registry gets with a body."""


def take_place(pool: Pool) -> list[dict[str, Any]]:
    """Return the handlers that lead a request to :func:`place_routes`."""
    return [{"handler": "vars", "pool": pool}, _least_rate()]


def hand_over(port: int, *, proxy_protocol: bool) -> dict[str, Any]:
    """Return the error route of what still waits when users change: Caddy ends that at once.

    Its body is unread, so the new configuration can have all of it.

    Args:
        proxy_protocol: Whether the client's address can be told there by it; else by a header.
    """
    changed = f"double({{http.reverse_proxy.duration_ms}}) < {WAIT_SECONDS}000.0"
    again = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"127.0.0.1:{port}"}],
        "headers": {"response": PASSED_ON},
        "transport": {
            "protocol": "http",
            "compression": False,
            **({"proxy_protocol": "v2"} if proxy_protocol else {}),
        },
    }
    handle = [_least_rate(), {"handler": "rewrite", "uri": "{http.request.orig_uri}"}, again]
    return {
        "match": [{"vars": {"{http.error.status_code}": ["503"]}, **matches("pool", ".+")}],
        "handle": [
            {
                "handler": "subroute",
                "routes": [
                    {"match": [{"expression": changed}], "handle": handle, "terminal": True}
                ],
            }
        ],
    }


def _least_rate() -> dict[str, Any]:
    # In nanoseconds, unlike all other times of Caddy.
    timeout = BODY_SECONDS * 10**9
    return {"handler": "timeouts", "read_timeout": timeout, "read_min_rate": BODY_RATE}


def place_routes(
    users: Sequence[ProxyUser], places: int, of_manifests: Mapping[str, object]
) -> list[dict[str, Any]]:
    """Return the routes that pass a request with a body on when it has found a place.

    Args:
        places: How many bodies of layers the registry takes at a time; more than there are users
            who may push.
        of_manifests: More fields of the handler that passes manifests on.
    """
    pushers = [user.name for user in users if user.push]
    own = max(1, places // 2 // max(1, len(pushers)))
    shared = _upstream("shared", places - own * len(pushers))
    routes = []
    for user in pushers:
        upstreams = [_upstream(f"of {user}", own), shared]
        choices: dict[Pool, list[dict[str, Any]]] = {
            "uploads": upstreams,
            "manifests": [_upstream("manifests", MANIFESTS), upstreams[0]],
        }
        for pool, choice in choices.items():
            routes.append(
                {
                    "match": [
                        {
                            "vars": {"pool": [pool]},
                            **matches("{http.auth.user.id}", re.escape(user)),
                        }
                    ],
                    "handle": [
                        _when_there_is_a_place(
                            pool, choice, of_manifests if pool == "manifests" else {}
                        )
                    ],
                    "terminal": True,
                }
            )
    return routes


def _upstream(name: str, places: int) -> dict[str, Any]:
    # Caddy counts the requests of an upstream by this text, also of those that a configuration
    # before is still at. The placeholder is empty.
    return {"dial": f"{REGISTRY}{{http.vars.places {name}}}", "max_requests": places}


def _when_there_is_a_place(
    pool: Pool, upstreams: list[dict[str, Any]], more: Mapping[str, object]
) -> dict[str, Any]:
    most = sum(upstream["max_requests"] for upstream in upstreams)
    return to_registry(
        HEADERS[pool],
        upstreams=upstreams,
        # Requests that come at the same moment may be counted too late.
        transport={"protocol": "http", "compression": False, "max_conns_per_host": most},
        load_balancing={
            "selection_policy": {"policy": "first"},
            "try_duration": f"{WAIT_SECONDS}s",
            "try_interval": f"{POLL_SECONDS * 1000:.0f}ms",
        },
        **more,
    )
