"""The routes of the auth proxy that lead to the caches of other registries.

What a cache holds is pulled as a repository ``cache/<name>/...``, so rights on repositories are
rights on caches. A cache takes GET and HEAD of manifests and blobs. It responds to requests for
referrers, of which it has none, with 404: then clients ask for a tag that lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.caddy import BODY, PASSED_ON, error, matches, refuse
from components.network import PORT
from components.registry.oci_routes import OPERATIONS
from components.registry.side_servers import known_headers
from components.registry.user_rules import LOG_SKIP, REPOSITORY
from settings.names import CACHE_FOLDER

ROUTE = "cache"
"""The name of the route that passes a request on. Caddy's metrics call it `invoke`, which tells
the requests of caches from others: components/monitoring/alerts.py"""

NAME = "{http.regexp.cache.name}"
"""The placeholder of the cache's name."""


def service_name(cache: str) -> str:
    """Return the name of a cache's Service, and of all else that it has."""
    return f"cache-{cache}"


def cache_routes(caches: Sequence[str]) -> list[dict[str, Any]]:
    """Return the steps that end each request for a repository of a cache."""
    if not caches:
        return []
    inside = matches(REPOSITORY, f"{CACHE_FOLDER}/(?P<name>{'|'.join(caches)})/.+", name="cache")
    kinds = ("manifests", "blobs", "referrers")
    pulls = [x for x in OPERATIONS if x.right == "pull" and x.kind in kinds]
    served, unlogged = (
        {"vars": {"operation": [f"cache {name}" for x in some for name in x.names]}}
        for some in (pulls, [x for x in pulls if not x.logged])
    )
    refused = refuse(
        405,
        "UNSUPPORTED",
        "this is a cache of another registry, which takes pulls only",
        # Or Go would wait for the body before it responds.
        {"Connection": ["close"]},
    )
    return [
        {
            # From here on no other step knows the operation.
            "match": [inside],
            "handle": [{"handler": "vars", "operation": "cache {http.vars.operation}"}],
        },
        {"match": [unlogged], "handle": [LOG_SKIP]},
        {"match": [{**served, **body} for body in BODY], "handle": [error(413)]},
        {
            "match": [{**served, **matches("right", "pull|push")}],
            "handle": [{"handler": "invoke", "name": ROUTE}],
            "terminal": True,
        },
        {"match": [served], "handle": [error(403)]},
        {"match": [matches("operation", "cache .*")], **refused, "terminal": True},
    ]


def named_routes(caches: Sequence[str]) -> dict[str, Any]:
    """Return the field of the server with the route that passes a request on to its cache."""
    if not caches:
        return {}
    names = {name for x in OPERATIONS if x.kind in ("manifests", "blobs") for name in x.headers}
    headers = {name: f"{{http.request.header.{name}}}" for name in sorted(names)}
    prefix = f"/v2/{CACHE_FOLDER}/{NAME}/"
    pass_on = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"{service_name(NAME)}:{PORT}"}],
        "transport": {"protocol": "http", "compression": False},
        "headers": {"request": known_headers(headers), "response": PASSED_ON},
        "handle_response": [
            {
                # That is about the cache's login, and would make clients try another one.
                "match": {"status_code": [401, 403]},
                "routes": [refuse(404, "NAME_UNKNOWN", "the other registry refuses this")],
            }
        ],
    }
    strip = [{"find": prefix, "replace": "/v2/", "limit": 1}]
    handlers = [{"handler": "rewrite", "uri": "?", "uri_substring": strip}, pass_on]
    unreachable = refuse(502, "UNAVAILABLE", "the cache does not respond")
    guarded = {
        "handler": "subroute",
        "routes": [{"handle": handlers}],
        "errors": {"routes": [unreachable]},
    }
    return {"named_routes": {ROUTE: {"handle": [guarded]}}}
