"""Users besides the admin and the pull user."""

from __future__ import annotations

from typing import Any

import pytest

from settings.schema import UserSettings
from tests.unit.settings.helpers import GOOD, loaded, problems


def users(values: dict[str, Any]) -> dict[str, UserSettings]:
    return loaded({**GOOD, "users": values})[0].users


def test_there_are_no_other_users_by_default() -> None:
    assert loaded(GOOD)[0].users == {}


def test_the_right_to_push_includes_the_right_to_pull_the_same_repositories() -> None:
    user = users({"ci": {"push": ["a/*", "b"], "pull": ["b", "*"]}})["ci"]
    assert user.push == ["a/*", "b"]
    assert user.pull == ["a/*", "b", "*"]
    assert users({"ci": {"push": ["a/*"]}})["ci"].pull == ["a/*"]
    assert users({"ci": {"pull": ["a/*"]}})["ci"].push == []


@pytest.mark.parametrize("rights", [None, {}, {"push": []}, {"push": [], "pull": []}])
def test_a_user_without_any_right_is_refused(rights: dict[str, Any]) -> None:
    (problem,) = problems({**GOOD, "users": {"ci": rights}})
    assert problem.key == "users.ci"
    assert problem.expected == "expected at least one repository in push or pull"
    assert problem.fix == (
        "pulumi config rm --path users.ci && pulumi config set --path 'users.ci.pull[0]'"
    )


@pytest.mark.parametrize(
    "pattern",
    ["*", "app", "app/*", "a/b.c/d_e/f__g/h---i", "a/b/c/*", "0", "a" * 255, "a" * 253 + "/*"],
)
def test_a_pattern_is_a_repository_or_all_below_a_path_or_all(pattern: str) -> None:
    assert users({"ci": {"push": [pattern]}})["ci"].push == [pattern]
    assert users({"ci": {"pull": [pattern]}})["ci"].pull == [pattern]


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "/", "/*", "a/", "/a", "a//b", "a/*/b", "a*", "*/a", "**", "a/**", "A/b", "a b"),
        *("a..b", "a___b", "-a", "a-", "a/.", "../a", "a:1", "a@b", "a\n", "é", "a" * 256),
    ],
)
def test_any_other_pattern_is_refused(pattern: str) -> None:
    for right in ("push", "pull"):
        (problem,) = problems({**GOOD, "users": {"ci": {right: [pattern]}}})
        assert problem.expected.startswith("expected a repository such as team-a/app")


@pytest.mark.parametrize("name", ["c", "c1", "team-a", "a" * 32])
def test_a_name_is_a_lowercase_word(name: str) -> None:
    assert list(users({name: {"pull": ["*"]}})) == [name]


@pytest.mark.parametrize("name", ["", "1c", "Ci", "c-", "c:i", "c.i", "c_i", "c i", "a" * 33])
def test_any_other_name_is_refused(name: str) -> None:
    (problem,) = problems({**GOOD, "users": {name: {"pull": ["*"]}}})
    assert problem.expected.startswith("expected a user name of at most 32 lowercase letters")


@pytest.mark.parametrize(
    ("key", "name"), [("adminUser", "admin"), ("adminUser", "CI"), ("pullUser", "pull")]
)
def test_a_name_that_the_admin_or_the_pull_user_has_is_refused(key: str, name: str) -> None:
    (problem,) = problems({**GOOD, key: name, "users": {name.lower(): {"pull": ["*"]}}})
    assert (problem.key, problem.value) == (f"users.{name.lower()}", "{...}")
    assert problem.expected == f"expected another name than {key}'s"
    assert problem.fix == f"pulumi config set {key}"


def test_a_repository_has_no_hostname() -> None:
    rights = {"push": [f"{GOOD['hostname']}/a"], "pull": [f"{GOOD['hostname']}/b"]}
    (problem,) = problems({**GOOD, "users": {"ci": rights}})
    assert problem.key == "users.ci"
    assert problem.expected == "expected repositories without the hostname"
    assert problem.fix == (
        "pulumi config rm --path users.ci && "
        "pulumi config set --path 'users.ci.push[0]' a && "
        "pulumi config set --path 'users.ci.pull[0]' b"
    )
    users({"ci": {"push": [f"{GOOD['hostname']}.example.org/a"]}})
