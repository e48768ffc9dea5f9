"""Parts of a configuration of Caddy that do not know the registry, and its error responses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

REFUSAL_DELAY_SECONDS = 0.5
"""How long a wrong login waits for its response. Without it, a flood of them over 200 connections
makes pushes three times slower; with it, no flood is felt (docs/performance.md)."""

AUDIT_LOG, REFUSED_LOG = "audit", "refused"
"""The loggers of requests: those of users, and those with a wrong login."""


READ_ONLY = 423
"""The status of pushes while nobody may push: Locked (RFC 4918, section 11.3). Clients give up at
once, and show the message."""

BODY: list[dict[str, Any]] = [
    {"vars_regexp": {"{http.request.header.Content-Length}": {"pattern": "[1-9]"}}},
    {"header": {"Transfer-Encoding": ["*"]}},
]
"""Matchers, of which one is enough, of requests over HTTP/1 that have a body."""

HEADERS = {"Docker-Distribution-Api-Version": "registry/2.0", "X-Content-Type-Options": "nosniff"}
"""Headers of all responses to clients, of the registry's as well. Old clients look for the first:
https://distribution.github.io/distribution/spec/api/#api-version-check"""

HSTS = "Strict-Transport-Security"

PASSED_ON = {"delete": [*HEADERS, HSTS]}
"""What is done to the headers of a response that is passed on: these would be there twice."""

ALLOWED = "{http.vars.allowed}"
"""The placeholder of the methods that the request's route has."""

RETRY_SECONDS = 10
"""How long a client is told to wait which found no place."""

_ERRORS = {
    400: ("SIZE_INVALID", "the body is not encoded as HTTP says"),
    401: ("UNAUTHORIZED", "authentication required"),
    403: ("DENIED", "requested access to the resource is denied"),
    404: ("UNSUPPORTED", "no such route"),
    405: ("UNSUPPORTED", "the operation is unsupported"),
    408: ("SIZE_INVALID", "the body came too slowly"),
    413: ("SIZE_INVALID", "this request takes no body"),
    416: ("BLOB_UPLOAD_INVALID", "the range of a chunk is two numbers: 0-99"),
    READ_ONLY: ("DENIED", "the registry is read-only for a while: registry.readOnly"),
    503: ("UNAVAILABLE", "too many uploads at a time: registry.parallelUploads"),
}
"""https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes"""

_READING = r"(?:readfrom tcp \S+: )?"
CLIENT_ERRORS = {
    400: _READING + r"(?:unexpected EOF|.*\bchunk(?:ed)?\b.*|read tcp \S+:{port}->\S+: read: .*)",
    408: _READING + r"read tcp \S+:{port}->\S+: i/o timeout",
}
"""Regular expressions of what Caddy says when it cannot read a body, by the right status: it would
respond with 502 or 504, as if the registry had failed."""


def logging() -> dict[str, Any]:
    """Return the logs: on standard output, a line of JSON for each request that matters."""
    left_out = (
        # Logins and the signed state of uploads are in these.
        *("resp_headers", "request>headers", "request>uri"),
        *("request>host", "request>tls", "request>remote_ip", "request>remote_port"),
    )
    unnamed = {f"{key}_key": "" for key in ("message", "level", "name")}
    log = {
        "writer": {"output": "stdout"},
        "encoder": {
            "format": "filter",
            "wrap": {"format": "json", "time_format": "rfc3339_nano", **unnamed},
            "fields": {field: {"filter": "delete"} for field in left_out},
        },
    }
    access = "http.log.access"
    return {
        "logs": {
            "default": {"level": "WARN", "exclude": [access]},
            AUDIT_LOG: {"include": [f"{access}.{AUDIT_LOG}"], **log},
            REFUSED_LOG: {
                "include": [f"{access}.{REFUSED_LOG}"],
                # In a second. A flood must not make the kubelet drop what the log is for.
                "sampling": {"first": 10, "thereafter": 1000},
                **log,
            },
        }
    }


def error_routes(port: int) -> list[dict[str, Any]]:
    """Return the routes that respond to what was refused, as the specification says.

    Caddy's errors tell a client from the registry by the port that clients connect to.
    """
    # Nothing is upstream: this waits, and fails.
    wait = {
        "handler": "reverse_proxy",
        "load_balancing": {
            "try_duration": f"{REFUSAL_DELAY_SECONDS}s",
            "try_interval": f"{REFUSAL_DELAY_SECONDS}s",
        },
    }
    unauthorized = _error_response(401)
    status, message = "{http.error.status_code}", "{http.error.message}"
    return [
        {
            # Or Go would wait for the body before it responds.
            "match": BODY,
            "handle": [{"handler": "headers", "response": {"set": {"Connection": ["close"]}}}],
        },
        {
            "match": [{"vars": {status: ["401"]}, "header": {"Authorization": ["*"]}}],
            "handle": [
                {
                    "handler": "subroute",
                    "routes": [
                        {"handle": [{"handler": "vars", "access_logger_names": [REFUSED_LOG]}]},
                        {"handle": [wait]},
                    ],
                    "errors": {"routes": [unauthorized]},
                }
            ],
        },
        *(
            {"match": [matches(message, error.format(port=port))], **_error_response(code)}
            for code, error in CLIENT_ERRORS.items()
        ),
        *(
            {"match": [{"vars": {status: [str(code)]}}], **_error_response(code)}
            for code in _ERRORS
        ),
        respond(status, headers={}),
    ]


def _error_response(status: int) -> dict[str, Any]:
    headers = {
        401: {"WWW-Authenticate": ['Basic realm="registry"']},
        405: {"Allow": [ALLOWED]},
        503: {"Retry-After": [str(RETRY_SECONDS)]},
    }
    return refuse(status, *_ERRORS[status], headers.get(status, {}))


def refuse(
    status: int, code: str, message: str, headers: Mapping[str, list[str]] | None = None
) -> dict[str, Any]:
    """Return a route that responds with an error as the specification words it."""
    headers = {"Content-Type": ["application/json"], **(headers or {})}
    body = json.dumps({"errors": [{"code": code, "message": message, "detail": None}]})
    return respond(status, headers=headers, body=body)


def respond(status: int | str, **more: object) -> dict[str, Any]:
    """Return a route that responds; `more` are further fields of its handler."""
    return {"handle": [{"handler": "static_response", "status_code": status, **more}]}


def error(status: int) -> dict[str, Any]:
    """Return the handler that ends a request with one of :func:`error_routes`."""
    return {"handler": "error", "status_code": status}


def matches(placeholder: str, pattern: str, name: str = "") -> dict[str, Any]:
    """Return a matcher of a whole value."""
    expression = {"pattern": f"^(?:{pattern})$"} | ({"name": name} if name else {})
    return {"vars_regexp": {placeholder: expression}}


def when(match: Mapping[str, Any], *handlers: dict[str, Any]) -> dict[str, Any]:
    """Return the handler that is some handlers for requests that match, and nothing for others."""
    return {"handler": "subroute", "routes": [{"match": [match], "handle": [*handlers]}]}
