"""The auth proxy's configuration: what is let through, and for whom."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from components.credentials import hash_password
from components.registry.auth_proxy import auth_proxy_config
from components.registry.immutable_tags import REFERRERS_TAG
from components.registry.oci_routes import FORGET_PATH, PATHS
from components.registry.user_rules import ProxyUser, _login_pattern, glob
from scripts.maintenance.images import subject_of
from tests.unit.conftest import Golden

SALT = "AAECAwQFBgcICQoLDA0ODw=="
ADMIN = ProxyUser(
    name="admin",
    password_hash=hash_password("Passw0rd", SALT),
    previous_hash="",
    push=["*"],
    pull=["*"],
)
MAINTENANCE = ProxyUser(
    name="maintenance", password_hash="$argon2id$", previous_hash="", push=[], pull=[]
)
TEAM = ProxyUser(
    name="ci",
    password_hash="$",
    previous_hash="",
    push=["team-a/*"],
    pull=["team-a/*", "base"],
)
SMOKE_TEST = dataclasses.replace(ADMIN, name="smoke_test", push=["smoke-test"], pull=[])
DIGEST = "sha256:" + "0" * 64
UPLOAD = "0" * 8 + "-0000-4000-8000-" + "0" * 12


@pytest.mark.parametrize(
    "tag",
    [
        *(f"sha256-{DIGEST[-64:]}", f"sha256-{DIGEST[-64:]}.sig", f"sha256-{DIGEST[-64:]}."),
        *(f"sha256-{DIGEST[-63:]}", f"sha512-{DIGEST[-64:]}", f"sha384-{DIGEST[-64:]}00.att"),
        *(f"md5-{DIGEST[-64:]}", f"xsha256-{DIGEST[-64:]}", f"sha256-{DIGEST[-64:]}-sig", "v1"),
    ],
)
def test_the_tags_that_no_rule_keeps_are_those_that_retention_takes_for_signatures(
    tag: str,
) -> None:
    """One that the proxy keeps could not be signed again; one that retention does not know goes."""
    assert bool(re.fullmatch(REFERRERS_TAG, tag)) == bool(subject_of(tag))


def kinds(uri: str) -> list[str]:
    return [kind for kind, path in PATHS.items() if re.fullmatch(path, uri)]


def test_the_configuration_is_the_golden_one(golden: Golden) -> None:
    golden("auth-proxy.json", config_of([ADMIN, TEAM]))


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("/v2/", "base"),
        ("/v2/_catalog?n=10&last=a%2Fb", "catalog"),
        ("/v2/a/tags/list?n=1", "tags"),
        ("/v2/a.b/c-d/e__f/manifests/V1.0_x-y?ns=docker.io", "manifests"),
        (f"/v2/a/manifests/{DIGEST}", "manifests"),
        (f"/v2/a/blobs/{DIGEST}", "blobs"),
        ("/v2/a/blobs/uploads/?mount=x&from=y", "uploads"),
        (f"/v2/a/blobs/uploads/{UPLOAD}?_state=a-b_c=&digest={DIGEST}", "upload"),
        (f"/v2/a/referrers/{DIGEST}?artifactType=x", "referrers"),
        # Repositories may have the names of routes.
        (f"/v2/manifests/blobs/uploads/manifests/{DIGEST}", "manifests"),
        ("/v2/a/tags/list/tags/list", "tags"),
    ],
)
def test_a_route_of_the_specification_is_of_one_kind(uri: str, kind: str) -> None:
    assert kinds(uri) == [kind]


@pytest.mark.parametrize(
    "uri",
    [
        *("/", "/v2", "/metrics", "/debug/pprof/", "//v2/", "/V2/", "/v2//", "/v2/.", "/v2/../v2/"),
        *("/v2/%5fcatalog", "/v2/_catalog/", "/v2/%61/tags/list", "/v2/a/tags/list/"),
        *("/v2/A/tags/list", "/v2/a\\b/tags/list", "/v2/a/_tags/list"),
        *("/v2/a//tags/list", "/v2/a/../b/tags/list", "/v2/a/./tags/list", "/v2/a%2Fb/tags/list"),
        *("/v2/a/manifests/", "/v2/a/manifests/..", "/v2/a/manifests/.x", "/v2/a/manifests/a/b"),
        *("/v2/a/manifests/" + "x" * 129, "/v2/a/manifests/x;y", "/v2/a/manifests/x%00"),
        *("/v2/a/blobs/latest", "/v2/a/blobs/sha256:", "/v2/a/blobs/uploads"),
        *("/v2/a/blobs/uploads/..", "/v2/a/blobs/uploads/x"),
        *(f"/v2/a/blobs/uploads/{UPLOAD}/", f"/v2/a/blobs/sha256%3A{'0' * 64}"),
        *("http://host/v2/", "*", "/v2/\n", "/v2/a/tags/list\n"),
        *("/v2/-a/tags/list", "/v2/a-/tags/list", "/v2/a___b/tags/list", "/v2/a..b/tags/list"),
    ],
)  # fmt: skip
def test_everything_else_is_no_route(uri: str) -> None:
    assert kinds(uri) == []


def test_the_maintenance_names_blobs_by_their_digests_only() -> None:
    assert re.fullmatch(FORGET_PATH, f"/v2/team/app/manifests/{DIGEST}")
    for path in ("v1.0", f"{DIGEST}?x", f"x/{DIGEST}", f"../{DIGEST}", f"{DIGEST}/"):
        assert not re.fullmatch(FORGET_PATH, f"/v2/team/app/manifests/{path}"), path
    for route in ("blobs", "tags"):
        assert not re.fullmatch(FORGET_PATH, f"/v2/team/app/{route}/{DIGEST}")


@pytest.mark.parametrize("name", ["a", "ab", "abc", "admin", "smoke_test", "x" * 32])
@pytest.mark.parametrize("password", ["", "p", "\xff\xff", "Passw0rd"])
def test_a_login_is_known_by_how_it_starts(name: str, password: str) -> None:
    def matched(username: str) -> bool:
        login = base64.b64encode(f"{username}:{password}".encode()).decode()
        return bool(re.match(_login_pattern(name), login))

    assert matched(name)
    for other in (name + "x", name[:-1], "x" + name, name.upper() + "_", ""):
        assert not matched(other), other


@pytest.mark.parametrize(
    ("pattern", "repositories", "others"),
    [
        ("*", ["", "a", "a/b"], []),
        ("team/*", ["team/x", "team/x/y"], ["team", "teamb/x", "x/team/x", "team%2Fx"]),
        ("a.b/c", ["a.b/c"], ["aab/c", "a.b%2fc", "a.b/c/d", "a.b/cd", "x/a.b/c"]),
    ],
)  # fmt: skip
def test_a_pattern_is_of_whole_names(
    pattern: str, repositories: list[str], others: list[str]
) -> None:
    def matched(name: str) -> bool:
        return bool(re.fullmatch(glob(pattern), name))

    assert [name for name in repositories + others if matched(name)] == repositories


def handlers(config: str, name: str, where: str = "routes") -> list[dict[str, Any]]:
    """Return all handlers of a kind, of the clients' server."""

    def found(value: Any) -> Iterator[dict[str, Any]]:
        if isinstance(value, dict):
            if value.get("handler") == name:
                yield value
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                yield from found(item)

    return list(found(json.loads(config)["apps"]["http"]["servers"]["registry"][where]))


def config_of(users: Sequence[ProxyUser], parallel_uploads: int = 16) -> str:
    return auth_proxy_config(
        users=users,
        maintenance=MAINTENANCE,
        read_only=False,
        metrics=False,
        parallel_uploads=parallel_uploads,
        tls=True,
        tcp_route=True,
        immutable={},
        admin="admin",
    )


def proxies(users: Sequence[ProxyUser], parallel_uploads: int) -> list[dict[str, Any]]:
    return handlers(config_of(users, parallel_uploads), "reverse_proxy")


def places(users: Sequence[ProxyUser], parallel_uploads: int) -> list[dict[str, int]]:
    """Return the number of places by pool, for each user and kind of body."""
    return [
        {upstream["dial"]: upstream["max_requests"] for upstream in proxy["upstreams"]}
        for proxy in proxies(users, parallel_uploads)
        if "load_balancing" in proxy
    ]


@pytest.mark.parametrize(
    ("parallel_uploads", "own", "shared"), [(3, 1, 1), (4, 1, 2), (16, 4, 8), (17, 4, 9)]
)
def test_nobody_can_hold_all_places(parallel_uploads: int, own: int, shared: int) -> None:
    """16 slow uploads of one user stopped everybody's."""
    uploads, _, of_other, _ = places([ADMIN, SMOKE_TEST], parallel_uploads)
    assert list(uploads.values()) == list(of_other.values()) == [own, shared]
    assert len({*uploads, *of_other}) == 3, "own places of each, and those of all"
    assert 2 * own + shared == parallel_uploads


def test_a_manifest_does_not_wait_for_the_layers_of_others() -> None:
    uploads, manifests, _, of_other = places([ADMIN, SMOKE_TEST], 16)
    (own, shared) = uploads
    assert own in manifests
    assert shared not in manifests, "a manifest takes more memory than a part of a layer"
    assert len(set(manifests) & set(of_other)) == 1


def test_places_are_counted_over_a_change_of_users() -> None:
    """Caddy knows an upstream by its address's text: 16 more uploads were taken after a change."""
    before, after = places([ADMIN, SMOKE_TEST], 16), places([ADMIN, SMOKE_TEST, TEAM], 16)
    assert [list(pools) for pools in before] == [list(pools) for pools in after[:4]]


@pytest.mark.parametrize("tcp_route", [True, False])
def test_the_new_configuration_learns_the_client_of_what_waited(tcp_route: bool) -> None:
    """Where connections are passed on, the audit log has the client's address by no header."""
    config = auth_proxy_config(
        users=[ADMIN],
        maintenance=MAINTENANCE,
        read_only=False,
        metrics=False,
        parallel_uploads=16,
        tls=True,
        tcp_route=tcp_route,
        immutable={},
        admin="admin",
    )
    server = json.loads(config)["apps"]["http"]["servers"]["registry"]
    (again,) = (x for x in handlers(config, "reverse_proxy", "errors") if "transport" in x)
    assert again["upstreams"] == [{"dial": "127.0.0.1:5000"}]
    assert ("proxy_protocol" in again["transport"]) == tcp_route
    assert ("listener_wrappers" in server) == tcp_route
    assert tcp_route or "127.0.0.1/32" in server["trusted_proxies"]["ranges"]


def test_a_burst_does_not_take_more_places_than_there_are() -> None:
    for proxy in proxies([ADMIN, TEAM], 16):
        if "load_balancing" in proxy:
            most = sum(upstream["max_requests"] for upstream in proxy["upstreams"])
            assert proxy["transport"]["max_conns_per_host"] == most


def test_no_header_of_a_client_is_passed_on_that_is_not_known() -> None:
    """A content type that one parser does not know and another does let users mount any blob."""
    found = proxies([ADMIN, TEAM], 16)
    assert len(found) > len(PATHS)
    for proxy in found:
        request = proxy["headers"]["request"]
        assert request["delete"] == ["*"]
        assert set(request) == {"delete", "set"}
        assert "Authorization" not in request["set"]
    types = {proxy["headers"]["request"]["set"].get("Content-Type", [""])[0] for proxy in found}
    assert types == {"", "application/octet-stream", "{http.request.header.Content-Type}"}


def test_no_login_is_compared_with_caddys_own_slow_hash() -> None:
    config = auth_proxy_config(
        users=[dataclasses.replace(ADMIN, previous_hash=ADMIN.password_hash), SMOKE_TEST],
        maintenance=dataclasses.replace(ADMIN, name="maintenance"),
        read_only=False,
        metrics=False,
        parallel_uploads=1,
        tls=True,
        tcp_route=True,
        immutable={},
        admin="admin",
    )
    ours, previous, maintenance = map(
        json.loads, re.findall(r'"accounts": (\[.*?\])', config, re.DOTALL)
    )
    assert [account["username"] for account in ours] == ["admin", "smoke_test", "??"]
    assert [account["username"] for account in previous] == ["admin", "smoke_test", "??"]
    assert [account["username"] for account in maintenance] == ["maintenance", "??"]
    for account in ours + previous + maintenance:
        assert account["password"].startswith("$argon2id$v=19$m=8,t=1,p=1$"), account["username"]


@pytest.mark.parametrize(
    ("kind", "methods"),
    [
        ("base", "GET, HEAD"),
        ("tags", "GET"),
        ("manifests", "GET, HEAD, PUT, DELETE"),
        ("uploads", "POST"),
        ("upload", "PATCH, PUT, GET, HEAD, DELETE"),
    ],
)
def test_who_uses_a_wrong_method_is_told_the_right_ones(kind: str, methods: str) -> None:
    """As HTTP demands: https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.6."""
    config = config_of([ADMIN])
    noted = [x["allowed"] for x in handlers(config, "vars") if x.get("kind") == kind]
    assert noted == [methods]
    responses = handlers(config, "static_response", "errors")
    (refused,) = (x for x in responses if x["status_code"] == 405)
    assert refused["headers"]["Allow"] == ["{http.vars.allowed}"]


def test_refusals_have_the_headers_of_all_responses_and_no_response_has_them_twice() -> None:
    """Some errors of the registry's are texts, which it tells browsers not to take for others."""
    config = config_of([ADMIN])
    set_first = handlers(config, "headers")[0]["response"]["set"]
    assert set_first["Docker-Distribution-Api-Version"] == ["registry/2.0"]
    assert set_first["X-Content-Type-Options"] == ["nosniff"]
    passed_on = [x for x in handlers(config, "reverse_proxy") if "upstreams" in x]
    waited = [x for x in handlers(config, "reverse_proxy", "errors") if "upstreams" in x]
    assert waited
    for proxy in passed_on + waited:
        assert set(proxy["headers"]["response"]["delete"]) == set(set_first)
