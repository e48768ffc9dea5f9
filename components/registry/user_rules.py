"""The steps of the auth proxy that depend on who the user is: who it is, and what it may do."""

from __future__ import annotations

import base64
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.caddy import error, matches
from components.credentials import PASSWORD_HASH_PARAMETERS
from components.registry.oci_routes import NAME

REPOSITORY = "{http.regexp.route.repository}"
"""The placeholder of the request's repository."""

LOG_SKIP = {"handler": "vars", "log_skip": True}
"""The handler that keeps a request out of the audit log."""

_BASIC = "(?i:basic) "
_AUTHORIZATION = "{http.request.header.Authorization}"
_BASE64 = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"

_DECOY = "??"
"""A user that cannot be configured. With the colon its name is 3 bytes: 4 digits in base64."""

_NO_HASH = "$".join(
    [
        PASSWORD_HASH_PARAMETERS,
        *(base64.b64encode(bytes(size)).decode().rstrip("=") for size in (16, 32)),
    ]
)
"""A hash of no password."""


@dataclass(frozen=True, kw_only=True)
class ProxyUser:
    """Who may do what.

    Attributes:
        password_hash: The password's hash, as a PHC string.
        previous_hash: That of the password of the generation before; empty for none.
        push: The repositories that the user may push to, delete from and pull from; ``*`` at the
            end of one stands for anything.
        ends: When the login ends, in seconds since 1970; None for never.
    """

    name: str
    password_hash: str
    previous_hash: str
    push: Sequence[str]
    pull: Sequence[str]
    ends: int | None = None


def authenticate(users: Sequence[ProxyUser]) -> list[dict[str, Any]]:
    """Return the steps that only a correct login passes.

    Caddy compares unknown users with a hash that takes 46 MiB and a thousand times as long as ours:
    it would tell which users exist, and let anybody stop the registry. So unknown users become the
    decoy, which nobody knows the password of.
    https://github.com/caddyserver/caddy/blob/v2.11.9/modules/caddyhttp/caddyauth/argon2id.go
    """
    known = "|".join(_login_pattern(user.name) for user in users)
    decoy_login = {
        "search_regexp": f"^{_BASIC}",
        "replace": f"Basic {base64.b64encode(f'{_DECOY}:'.encode()).decode()}",
    }
    return [
        {
            # Several headers are joined by commas here.
            "match": [{"not": [matches(_AUTHORIZATION, f"{_BASIC}[A-Za-z0-9+/]+={{0,2}}")]}],
            "handle": [LOG_SKIP, error(401)],
        },
        {
            "match": [{"not": [matches(_AUTHORIZATION, f"{_BASIC}(?:{known}).*")]}],
            "handle": [
                {"handler": "headers", "request": {"replace": {"Authorization": [decoy_login]}}}
            ],
        },
        _compare(users),
        *(_end(user.name, user.ends) for user in users if user.ends is not None),
    ]


def _compare(users: Sequence[ProxyUser]) -> dict[str, Any]:
    """Return the step that compares a login with the passwords of both generations.

    Caddy takes one password for each user, so a login that it refuses is compared anew.
    """
    current = {"handle": [_authentication({user.name: user.password_hash for user in users})]}
    if not any(user.previous_hash for user in users):
        return current
    previous = _authentication({user.name: user.previous_hash or _NO_HASH for user in users})
    noted = {"handler": "log_append", "key": "generation", "value": "previous"}
    status = "{http.error.status_code}"
    refused = {"match": [{"vars": {status: ["401"]}}], "handle": [previous, noted]}
    # Errors of the steps that follow come here, too.
    other = {
        "match": [{"not": [{"vars": {status: ["401"]}}]}],
        "handle": [{"handler": "error", "status_code": status}],
    }
    subroute = {"handler": "subroute", "routes": [current], "errors": {"routes": [refused, other]}}
    return {"handle": [subroute]}


def _end(name: str, ends: int) -> dict[str, Any]:
    """Return the step that refuses a correct login which has ended, by this machine's clock."""
    return {
        "match": [
            {
                "vars": {"{http.auth.user.id}": [name]},
                "expression": f"int({{time.now.unix}}) >= {ends}",
            }
        ],
        "handle": [
            {"handler": "log_append", "key": "reason", "value": "the login has ended"},
            error(401),
        ],
    }


def _authentication(accounts: Mapping[str, str]) -> dict[str, Any]:
    """Return the handler that only a correct login passes, of these users and their hashes."""
    all_accounts = {**accounts, _DECOY: _NO_HASH}
    return {
        "handler": "authentication",
        "providers": {
            "http_basic": {
                "hash": {"algorithm": "argon2id"},
                "accounts": [
                    {"username": name, "password": hashed} for name, hashed in all_accounts.items()
                ],
            }
        },
    }


def _login_pattern(name: str) -> str:
    """Return a regular expression of how base64 of a login starts.

    A digit stands for 6 bits. The last one may share some with the password.
    """
    prefix = f"{name}:".encode()
    whole, bits = divmod(len(prefix) * 8, 6)
    digits = base64.b64encode(prefix).decode()
    if not bits:
        return re.escape(digits)
    first = _BASE64.index(digits[whole])
    return f"{re.escape(digits[:whole])}[{re.escape(_BASE64[first : first + 2 ** (6 - bits)])}]"


def authorize(users: Sequence[ProxyUser]) -> list[dict[str, Any]]:
    """Return the steps that note what the user may do with the repository.

    A route without a repository is of an empty one, which only the pattern ``*`` matches. Each step
    sets one variable for the next: several variables of a matcher would be alternatives.
    """
    steps: list[dict[str, Any]] = [
        {
            "handle": [
                {"handler": "vars", "operation": "{http.vars.kind} {http.request.method}"},
                {"handler": "vars", "right": "login"},
            ]
        },
        {
            # If there are several, Caddy joins them by commas, and no name has one.
            "match": [matches("{http.request.uri.query.from}", NAME)],
            "handle": [{"handler": "vars", "source": "{http.request.uri.query.from}"}],
        },
    ]
    for user in users:
        pull = [*user.push, *user.pull]
        for repository, patterns, noted in (
            (REPOSITORY, pull, {"right": "pull"}),
            (REPOSITORY, user.push, {"right": "push"}),
            ("source", pull, {"mount": "yes"}),
        ):
            pattern = "|".join(map(glob, patterns))
            if patterns:
                steps.append(
                    {
                        "match": [
                            {
                                "vars": {"{http.auth.user.id}": [user.name]},
                                **matches(repository, pattern),
                            }
                        ],
                        "handle": [{"handler": "vars", **noted}],
                    }
                )
    return steps


def glob(pattern: str) -> str:
    """Return the regular expression of a pattern of repositories."""
    return re.escape(pattern.removesuffix("*")) + (".*" if pattern.endswith("*") else "")
