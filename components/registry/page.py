"""The page for browsers: its routes in the auth proxy, and its files.

The page asks ``/v2/`` for what is there now, with the user's login, which the browser sends along.
It would do so for pages of other sites, too, so these are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.caddy import BODY, error, matches, respond
from components.registry.user_rules import LOG_SKIP, ProxyUser
from components.reports import patterns_of, rights_key
from scripts.shared.reports import FINDINGS, USAGE

FOLDER = "/srv/page"
"""Where the auth proxy has the page's files, and the reports."""

_FILES = Path(__file__).parent.parent.parent / "page"
_START, _ME = "page.html", "me.json"
_PATH = r"/(?:page/(?P<file>{}))?(?:\?.*)?"
_FILE = "{http.regexp.route.file}"

_HEADERS = {
    "Content-Security-Policy": "; ".join(
        [
            *("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"),
            # The chart, which is a picture in a report.
            "img-src data:",
            *("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
            "require-trusted-types-for 'script'",
        ]
    ),
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Another user may be the next one at this browser.
    "Cache-Control": "no-store",
}


def page_files() -> dict[str, str]:
    """Return the page's files by name."""
    return {path.name: path.read_text() for path in sorted(_FILES.iterdir())}


def refuse_other_sites() -> dict[str, Any]:
    """Return the step that refuses what pages of other sites let a browser ask for.

    All browsers say so, and no client of registries does: https://www.w3.org/TR/fetch-metadata/
    A link to the page may be anywhere: it only shows the page to whoever follows it.
    """
    own = {"header": {"Sec-Fetch-Site": ["same-origin", "none"]}}
    link = {
        "method": ["GET"],
        "path": ["/"],
        "header": {"Sec-Fetch-Mode": ["navigate"], "Sec-Fetch-Dest": ["document"]},
    }
    return {
        "match": [{"header": {"Sec-Fetch-Site": ["*"]}, "not": [own, link]}],
        "handle": [LOG_SKIP, error(403)],
    }


def _kinds(scan: bool) -> Sequence[str]:
    return [USAGE, *([FINDINGS] if scan else [])]


def page_kind(*, scan: bool) -> dict[str, Any]:
    """Return the step that tells requests for the page from others.

    Args:
        scan: Whether images are scanned.
    """
    files = [x for x in page_files() if x != _START]
    names = [*files, _ME, *(f"{kind}.json" for kind in _kinds(scan))]
    path = _PATH.format("|".join(map(re.escape, names)))
    return {
        "group": "kind",
        "match": [matches("{http.request.orig_uri}", path, name="route")],
        "handle": [{"handler": "vars", "kind": "page", "allowed": "GET, HEAD"}],
    }


def page_routes(users: Sequence[ProxyUser], *, scan: bool) -> list[dict[str, Any]]:
    """Return the routes that end each request for the page by a user who has logged in.

    Args:
        users: All users.
        scan: Whether images are scanned.
    """
    served = {"vars": {"operation": ["page GET", "page HEAD"]}}
    headers = {name: [value] for name, value in _HEADERS.items()}
    report = {"Content-Encoding": ["gzip"], "Content-Type": ["application/json"]}
    routes = [
        *(route for user in users for route in _of_user(user, scan)),
        {"group": "file", "match": [{"vars": {_FILE: [""]}}], "handle": [_rewrite(_START)]},
        *(
            {
                "group": "file",
                "match": [{"vars": {_FILE: [f"{kind}.json"]}}],
                "handle": [
                    # Deferred: an error is not compressed.
                    {"handler": "headers", "response": {"deferred": True, "set": report}},
                    _rewrite(f"{kind}.{{http.vars.rights}}.json.gz"),
                ],
            }
            for kind in _kinds(scan)
        ),
        {"group": "file", "handle": [_rewrite(_FILE)]},
        # It would respond to a previous password with the error by which that was found, even so.
        {"handle": [{"handler": "file_server", "root": FOLDER, "status_code": 200}]},
    ]
    return [
        {"match": [{**served, **body} for body in BODY], "handle": [error(413)]},
        {
            "match": [served],
            "handle": [
                LOG_SKIP,
                {
                    "handler": "headers",
                    # Only whole files have that status.
                    "request": {"delete": ["If-*", "Range"]},
                    "response": {"set": headers},
                },
                {"handler": "subroute", "routes": routes},
            ],
            "terminal": True,
        },
    ]


def _of_user(user: ProxyUser, scan: bool) -> list[dict[str, Any]]:
    """Return the routes that tell a user who it is and what it may pull, and note which reports."""
    pull = [*user.push, *user.pull]
    own = {"vars": {"{http.auth.user.id}": [user.name]}}
    # No object: its braces would be those of a placeholder.
    me = respond(
        200,
        headers={"Content-Type": ["application/json"]},
        body=json.dumps([user.name, patterns_of(pull), scan]),
    )
    return [
        {"match": [own], "handle": [{"handler": "vars", "rights": rights_key(pull)}]},
        {"match": [{**own, **matches(_FILE, re.escape(_ME))}], **me},
    ]


def _rewrite(name: str) -> dict[str, Any]:
    return {"handler": "rewrite", "uri": f"/{name}"}
