"""Parts of a configuration of Caddy that do not know the registry, and its error responses."""

from __future__ import annotations

import json
from typing import Any

REFUSAL_DELAY_SECONDS = 0.5
"""How long a wrong login waits for its response. Without it, a flood of them over 200 connections
makes pushes three times slower; with it, no flood is felt (docs/performance.md)."""

AUDIT_LOG, REFUSED_LOG = "audit", "refused"
"""The loggers of requests: those of users, and those with a wrong login."""


READ_ONLY = 423
"""The status of pushes while nobody may push: Locked (RFC 4918, section 11.3). Clients give up at
once, and show the message."""

_ERRORS = {
    401: ("UNAUTHORIZED", "authentication required"),
    403: ("DENIED", "requested access to the resource is denied"),
    404: ("UNSUPPORTED", "no such route"),
    405: ("UNSUPPORTED", "the operation is unsupported"),
    READ_ONLY: ("DENIED", "the registry is read-only for a while: registry.readOnly"),
}
"""https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes"""


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


def error_routes() -> list[dict[str, Any]]:
    """Return the routes that respond to what was refused, as the specification says."""
    # Nothing is upstream: this waits, and fails.
    wait = {
        "handler": "reverse_proxy",
        "load_balancing": {
            "try_duration": f"{REFUSAL_DELAY_SECONDS}s",
            "try_interval": f"{REFUSAL_DELAY_SECONDS}s",
        },
    }
    unauthorized = _error_response(401)
    status = "{http.error.status_code}"
    return [
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
            {"match": [{"vars": {status: [str(code)]}}], **_error_response(code)}
            for code in _ERRORS
        ),
        respond(status, headers={}),
    ]


def _error_response(status: int) -> dict[str, Any]:
    code, message = _ERRORS[status]
    headers = {"Content-Type": ["application/json"]}
    if status == 401:
        headers["WWW-Authenticate"] = ['Basic realm="registry"']
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
