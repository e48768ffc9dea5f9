"""The auth proxy's configuration: what is let through, and for whom."""

from __future__ import annotations

import base64
import dataclasses
import json
import re

import pytest

from components.credentials import hash_password
from components.registry.auth_proxy import auth_proxy_config
from components.registry.oci_routes import FORGET_PATH, PATHS, SOURCE_QUERY
from components.registry.user_rules import ProxyUser, _glob, _login_pattern
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


def kinds(uri: str) -> list[str]:
    return [kind for kind, path in PATHS.items() if re.fullmatch(path, uri)]


def test_the_configuration_is_the_golden_one(golden: Golden) -> None:
    config = auth_proxy_config(
        users=[ADMIN, TEAM],
        maintenance=MAINTENANCE,
        read_only=False,
        metrics=False,
        parallel_uploads=16,
        tls=True,
        tcp_route=True,
    )
    golden("auth-proxy.json", config)


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


@pytest.mark.parametrize("route", ["manifests", "blobs"])
def test_the_maintenance_names_blobs_by_their_digests_only(route: str) -> None:
    assert re.fullmatch(FORGET_PATH, f"/v2/team/app/{route}/{DIGEST}")
    for path in ("v1.0", f"{DIGEST}?x", f"x/{DIGEST}", f"../{DIGEST}", f"{DIGEST}/"):
        assert not re.fullmatch(FORGET_PATH, f"/v2/team/app/{route}/{path}"), path
    assert not re.fullmatch(FORGET_PATH, f"/v2/team/app/tags/{DIGEST}")


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
        ("team/*", ["team/x", "team/x/y", "team%2Fx"], ["team", "teamb/x", "x/team/x"]),
        ("a.b/c", ["a.b/c", "a.b%2fc"], ["aab/c", "a.b/c/d", "a.b/cd", "x/a.b/c"]),
    ],
)  # fmt: skip
def test_a_pattern_is_of_whole_names(
    pattern: str, repositories: list[str], others: list[str]
) -> None:
    def matched(name: str) -> bool:
        return bool(re.fullmatch(_glob(pattern), name))

    assert [name for name in repositories + others if matched(name)] == repositories


@pytest.mark.parametrize(
    "query",
    [
        *("from=base&mount=sha256:00&from=other", "mount=sha256:00&from=base&x=y", "from=b;from=c"),
        *("from=team-a%2F..%2Fother&mount=sha256:00", "from=team-a%252Fx", "FROM=base", "from="),
        *("from=base%26from%3Dother", "mount=sha256:00&from=base&", "x=y&from=base"),
    ],
)  # fmt: skip
def test_an_ambiguous_source_of_a_mount_is_none(query: str) -> None:
    assert not re.fullmatch(SOURCE_QUERY, query)


@pytest.mark.parametrize(
    "query", ["from=a%2Fb&mount=sha256%3A00", "mount=sha256:00&from=a/b", "from=a%2fb"]
)
def test_the_source_of_a_mount_is_known_as_clients_write_it(query: str) -> None:
    match = re.fullmatch(SOURCE_QUERY, query)
    assert match
    assert re.fullmatch(_glob("a/b"), match["source"])


def test_no_login_is_compared_with_caddys_own_slow_hash() -> None:
    config = auth_proxy_config(
        users=[dataclasses.replace(ADMIN, previous_hash=ADMIN.password_hash), SMOKE_TEST],
        maintenance=dataclasses.replace(ADMIN, name="maintenance"),
        read_only=False,
        metrics=False,
        parallel_uploads=1,
        tls=True,
        tcp_route=True,
    )
    ours, previous, maintenance = map(
        json.loads, re.findall(r'"accounts": (\[.*?\])', config, re.DOTALL)
    )
    assert [account["username"] for account in ours] == ["admin", "smoke_test", "??"]
    assert [account["username"] for account in previous] == ["admin", "smoke_test", "??"]
    assert [account["username"] for account in maintenance] == ["maintenance", "??"]
    for account in ours + previous + maintenance:
        assert account["password"].startswith("$argon2id$v=19$m=8,t=1,p=1$"), account["username"]
