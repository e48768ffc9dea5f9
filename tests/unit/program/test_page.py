"""The page for browsers: what it adds to the program."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest

from components.registry.auth_proxy import auth_proxy_config
from components.registry.page import page_files, page_kind, page_routes, refuse_other_sites
from components.registry.user_rules import ProxyUser
from components.reports import REPORTS, patterns_of, rights_by_key, rights_key
from tests.unit.program.conftest import CONFIG, Run

PAGE = {**CONFIG, "page": {"enabled": True}}


def test_no_update_takes_away_what_the_maintenance_has_written(run: Run) -> None:
    """With server-side apply, a field that the program sets once is the program's."""
    assert run(PAGE).inputs("reports").keys() == {"apiVersion", "kind", "metadata"}


def test_the_account_of_reports_may_change_one_config_map_and_nothing_else(run: Run) -> None:
    """Its token is where images are deleted from: it must open nothing more."""
    engine = run(PAGE)
    (role,) = engine.inputs("reports-role")["rules"]
    assert role == {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [REPORTS],
        "verbs": ["get", "patch"],
    }
    bound = [x for x in engine.resources.values() if x.type.endswith("RoleBinding")]
    assert len(bound) == 1


def test_without_the_maintenance_nobody_has_a_token(run: Run) -> None:
    engine = run({**PAGE, "maintenance": {"enabled": False}})
    assert "serviceAccountToken" not in str([x.inputs for x in engine.resources.values()])


USER = ProxyUser(name="ci", password_hash="x", previous_hash="", push=["team/*"], pull=["base"])


def config(*, page: bool) -> str:
    return auth_proxy_config(
        users=[USER],
        maintenance=USER,
        read_only=True,
        metrics=False,
        parallel_uploads=16,
        tls=True,
        tcp_route=True,
        immutable={},
        admin="admin",
        page=page,
    )


def routes(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["apps"]["http"]["servers"]["registry"]["routes"]
    return found


def test_the_page_adds_routes_and_changes_none() -> None:
    """What clients of the registry get is decided by the same routes, in the same order."""
    on, off = routes(config(page=True)), routes(config(page=False))
    added = [refuse_other_sites(), page_kind(scan=False), *page_routes([USER], scan=False)]
    assert [x for x in on if x not in added] == off
    assert len(on) == len(off) + len(added)


def test_other_sites_are_refused_before_a_login_is_looked_at() -> None:
    """They would find out by the time whether the browser has a good one."""
    on = routes(config(page=True))
    logins = [i for i, x in enumerate(on) if "Authorization" in json.dumps(x)]
    assert on.index(refuse_other_sites()) < min(logins)


def test_the_page_is_served_after_the_login_and_before_a_registry_that_is_read_only() -> None:
    on = routes(config(page=True))
    served = on.index(page_routes([USER], scan=False)[-1])
    login = max(i for i, x in enumerate(on) if "http_basic" in json.dumps(x))
    assert login < served
    assert all("423" not in json.dumps(x) for x in on[:served])


@pytest.mark.parametrize("user", [USER, dataclasses.replace(USER, name="other", push=["*"])])
def test_a_user_s_rights_are_those_by_which_he_pulls(user: ProxyUser) -> None:
    key = rights_key([*user.push, *user.pull])
    assert f'"rights": "{key}"' in json.dumps(page_routes([user], scan=False))
    (told,) = json.loads(rights_by_key([[*user.push, *user.pull]])).items()
    assert told == (key, patterns_of([*user.push, *user.pull]))


PATH = page_kind(scan=False)["match"][0]["vars_regexp"]["{http.request.orig_uri}"]["pattern"]


@pytest.mark.parametrize(
    "path", ["/", "/?x=/v2/", "/page/page.js", "/page/usage.json?x", "/page/me.json"]
)
def test_the_page_has_these_paths(path: str) -> None:
    assert re.match(PATH, path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/v2/",
        "/page",
        "/page/findings.json",
        "/page/",
        "/page/pageXjs",
        "/page/usage.x.json",
        "/page/../v2/",
        "//",
        "/x",
    ],
)
def test_no_other_path_is_the_page_s(path: str) -> None:
    assert not re.match(PATH, path)


@pytest.mark.parametrize("name", page_files())
def test_no_file_makes_markup_of_text_or_asks_another_server(name: str) -> None:
    """The policy forbids it, but not in every browser."""
    text = re.sub(r"^\s*//.*", "", page_files()[name], flags=re.MULTILINE)
    for never in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "://"):
        assert never not in text
    assert not re.search(r"\s(on[a-z]+|style)=", text)


def test_the_files_fit_into_a_config_map_many_times() -> None:
    assert sum(map(len, page_files().values())) < 64 * 1024
