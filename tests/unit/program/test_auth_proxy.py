"""The auth proxy's configuration: what is let through, and for whom."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from components.credentials import hash_password
from components.registry.auth_proxy import auth_proxy_config
from components.registry.oci_routes import PATHS
from components.registry.user_rules import ProxyUser
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


def test_the_configuration_is_the_golden_one(golden: Golden) -> None:
    golden("auth-proxy.json", config_of([ADMIN, TEAM]))


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
