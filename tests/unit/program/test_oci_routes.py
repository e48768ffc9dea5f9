"""Which requests are of which kind, and which names a pattern is of."""

from __future__ import annotations

import base64
import re

import pytest

from components.registry.immutable_tags import REFERRERS_TAG
from components.registry.oci_routes import FORGET_PATH, PATHS
from components.registry.user_rules import _login_pattern, glob
from scripts.maintenance.images import subject_of

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
