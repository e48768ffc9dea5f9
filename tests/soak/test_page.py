"""The page for browsers: who gets which file, and what a browser may not be made to ask for.

What it shows: `tests/browser`.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest

from components.caddy import REFUSAL_DELAY_SECONDS
from components.registry.page import page_files
from components.reports import rights_key
from tests.soak.servers import HOSTS, PASSWORD, PREVIOUS_PASSWORD, Servers

FILES = ("/", "/page/page.js", "/page/me.json", "/page/usage.json")
NOTHING: Mapping[str, str] = MappingProxyType({})
UPLOADS = "/v2/team/app/blobs/uploads/"


class Response(NamedTuple):
    """A response; the names of its headers are in lowercase."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@pytest.fixture(scope="module")
def servers(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    started = Servers(
        tools,
        tmp_path_factory.mktemp("page"),
        users=("admin", "ci", "a..b"),
        rights={"ci": ["team/*"], "a..b": ["base"]},
        page=True,
    )
    try:
        started.start()
        for rights, text in ((["*"], "all"), (["team/*"], "of team")):
            name = f"usage.{rights_key(rights)}.json.gz"
            (started.folder / "page" / name).write_bytes(gzip.compress(json.dumps(text).encode()))
        yield started
    finally:
        started.stop_all()


def ask(
    servers: Servers,
    path: str,
    user: str = "admin",
    password: str = PASSWORD,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] = NOTHING,
) -> Response:
    """Send one request; without a user it has no login."""
    sent = dict(headers)
    if user:
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        sent["Authorization"] = f"Basic {login}"
    connection = http.client.HTTPConnection(HOSTS[0], servers.registry_port, timeout=60)
    with closing(connection):
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, received, response.read())


@pytest.mark.parametrize("password", [PASSWORD, PREVIOUS_PASSWORD])
def test_the_files_are_served_as_they_are(servers: Servers, password: str) -> None:
    types = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
    for name, content in page_files().items():
        path = "/" if name == "page.html" else f"/page/{name}"
        response = ask(servers, path, password=password)
        assert response.status == 200, path
        assert response.body == content.encode()
        assert response.headers["content-type"] == f"{types[name.partition('.')[2]]}; charset=utf-8"


@pytest.mark.parametrize("path", FILES)
def test_each_response_forbids_all_but_what_the_page_does(servers: Servers, path: str) -> None:
    """What a repository holds is whoever pushed it: a script there must have nothing to run by."""
    headers = ask(servers, path).headers
    policy = dict(x.split(" ", 1) for x in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", FILES)
def test_it_takes_the_same_login_as_the_registry(servers: Servers, path: str) -> None:
    for user, password in (("", ""), ("nobody", PASSWORD), ("admin", "wrong")):
        began = time.monotonic()
        response = ask(servers, path, user, password)
        assert response.status == 401
        assert response.headers["www-authenticate"] == 'Basic realm="registry"'
        assert response == ask(servers, "/v2/", user, password)._replace(
            headers={**response.headers}
        )
        # Nothing is guessed without a login.
        if user:
            assert time.monotonic() - began > REFUSAL_DELAY_SECONDS


def test_a_user_gets_the_report_of_his_own_rights(servers: Servers) -> None:
    for user, pull, report in (("admin", ["*"], "all"), ("ci", ["team/*"], "of team")):
        response = ask(servers, "/page/me.json", user)
        assert json.loads(response.body) == [user, pull, False]
        response = ask(servers, "/page/usage.json", user)
        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["content-type"] == "application/json"
        assert json.loads(gzip.decompress(response.body)) == report


def test_half_a_file_is_no_file(servers: Servers) -> None:
    whole = ask(servers, "/page/page.js")
    conditions = {"Range": "bytes=0-3", "If-None-Match": whole.headers["etag"]}
    some = ask(servers, "/page/page.js", headers=conditions)
    assert (some.status, some.body) == (200, whole.body)


def test_there_is_no_report_for_rights_that_are_new(servers: Servers) -> None:
    """The report of the rights before would name what the user may not pull any more."""
    for password in (PASSWORD, PREVIOUS_PASSWORD):
        response = ask(servers, "/page/usage.json", "a..b", password)
        assert response.status == 404
        assert "content-encoding" not in response.headers
        assert json.loads(response.body)["errors"]


@pytest.mark.parametrize(
    "path",
    [
        *("/page", "/page/", "/page/page.html", "/page/page.js/", "/page/..", "/page/../v2/"),
        *(
            "/page/%70age.js",
            "/page//page.js",
            "//",
            "/index.html",
            "/favicon.ico",
            "/page/PAGE.js",
        ),
        f"/page/usage.{rights_key(['*'])}.json.gz",
        *("/page/usage..json", "/page/..%2fcaddy.json", "/page/%2e%2e/credentials", "/robots.txt"),
    ],
)
def test_nothing_else_is_served(servers: Servers, path: str) -> None:
    """Whoever guesses the name of another user's report must not get it."""
    assert ask(servers, path).status == 404


@pytest.mark.parametrize("path", FILES)
def test_it_can_only_be_read(servers: Servers, path: str) -> None:
    head = ask(servers, path, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        response = ask(servers, path, method=method)
        assert (response.status, response.headers["allow"]) == (405, "GET, HEAD"), method
    assert ask(servers, path, body=b"x").status == 413


SITES = ("cross-site", "same-site", "new-word", "same-origin, cross-site")
REQUESTS = (
    ("GET", "/"),
    ("GET", "/page/me.json"),
    ("GET", "/page/usage.json"),
    ("GET", "/v2/"),
    ("GET", "/v2/_catalog"),
    ("POST", UPLOADS),
    ("PUT", "/v2/team/app/manifests/1"),
    ("DELETE", "/v2/team/app/manifests/1"),
)


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("request_", REQUESTS)
def test_a_page_of_another_site_gets_and_changes_nothing(
    servers: Servers, request_: tuple[str, str], site: str
) -> None:
    """The browser that a user has logged in with adds the login to what any page asks for."""
    method, path = request_
    told = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty"}
    assert ask(servers, path, method=method, headers=told).status == 403
    # Not even whether the login is right.
    assert ask(servers, path, "", method=method, headers=told).status == 403


def test_a_link_from_anywhere_leads_to_the_page_and_to_nothing_else(servers: Servers) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    whole, frame = link | {"Sec-Fetch-Dest": "document"}, link | {"Sec-Fetch-Dest": "iframe"}
    assert ask(servers, "/", headers=whole).status == 200
    assert ask(servers, "/", headers=frame).status == 403
    assert ask(servers, "/", method="POST", headers=whole).status == 403
    for path in ("/page/me.json", "/v2/", "/v2/_catalog"):
        assert ask(servers, path, headers=whole).status == 403, path


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_page_itself_and_whoever_writes_an_address_get_all_of_it(
    servers: Servers, site: str
) -> None:
    for path in (*FILES, "/v2/", "/v2/_catalog"):
        assert ask(servers, path, headers={"Sec-Fetch-Site": site}).status == 200, path


def test_a_client_of_the_registry_is_asked_for_nothing_new(servers: Servers) -> None:
    assert ask(servers, "/v2/").status == 200
    assert ask(servers, UPLOADS, method="POST").status == 202
    assert ask(servers, "/v2/other/blobs/uploads/", "ci", method="POST").status == 403
