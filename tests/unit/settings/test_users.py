"""Users besides the admin and the pull user."""

from __future__ import annotations

import time
from datetime import datetime
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


def test_a_fix_that_writes_a_user_anew_keeps_the_end_of_the_login() -> None:
    """Without it, whoever runs the command gives a login back for good."""
    until = "2027-03-31"
    (problem,) = problems({**GOOD, "users": {"ci": {"until": until}}})
    assert f"pulumi config set --path users.ci.until {until}" in problem.fix
    pushes = {"push": [f"{GOOD['hostname']}/a"], "until": until}
    (problem,) = problems({**GOOD, "users": {"ci": pushes}})
    assert f"pulumi config set --path users.ci.until {until}" in problem.fix


@pytest.mark.parametrize(
    ("until", "last_second"),
    [
        ("2027-03-31", "2027-03-31T23:59:59+00:00"),
        ("2026-12-31", "2026-12-31T23:59:59+00:00"),
        ("2028-02-29", "2028-02-29T23:59:59+00:00"),
        ("2028-02-28", "2028-02-28T23:59:59+00:00"),
        # As Pulumi reads a day that is written into the file by hand, without quotes.
        ("2027-03-31 00:00:00 +0000 UTC", "2027-03-31T23:59:59+00:00"),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_a_login_ends_with_its_last_day_in_utc_wherever_pulumi_runs(
    until: str, last_second: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a zone of the machine's own, two colleagues would give the login two ends."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        ends = users({"ci": {"pull": ["*"], "until": until}})["ci"].ends
    finally:
        monkeypatch.undo()
        time.tzset()
    assert ends == datetime.fromisoformat(last_second).timestamp() + 1


@pytest.mark.parametrize(
    "until",
    [
        *("2027-02-29", "2027-04-31", "2027-13-01", "2027-00-10", "31.03.2027", "03/31/2027"),
        *("2027-3-31", "20270331", "2027-W13-3", "1999-01-01", "2027-03-31T12:00:00Z", "tomorrow"),
        *("2027-03-31 12:00:00 +0000 UTC", 1806537600, "2027-03-31\n"),
    ],
)
def test_what_is_no_day_is_refused(until: object) -> None:
    (problem,) = problems({**GOOD, "users": {"ci": {"pull": ["*"], "until": until}}})
    assert problem.key == "users.ci.until"
    assert "expected a day" in problem.expected


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
