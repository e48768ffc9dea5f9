"""The settings of the maintenance, and which tags and manifests stay."""

from __future__ import annotations

from typing import Any

import pytest

from settings.problems import Problem
from tests.unit.settings.helpers import GOOD, loaded, problems


def test_by_default_only_what_clients_have_deleted_goes_after_a_week() -> None:
    settings, _ = loaded(GOOD)
    assert settings.retention.dry_run
    assert settings.retention.untagged_days is None
    assert settings.retention.rules == {}
    assert settings.maintenance.collect
    assert settings.maintenance.keep_days == 7


RULE = {"repositories": ["team/*"], "last": "10"}


@pytest.mark.parametrize("clause", [{"last": 1}, {"days": 1}, {"matching": ["^v"]}])
def test_each_clause_makes_a_rule_alone(clause: dict[str, Any]) -> None:
    rules = {"a": {"repositories": ["team/*"], **clause}}
    (rule,) = loaded({**GOOD, "retention": {"rules": rules}})[0].retention.rules.values()
    assert rule.model_dump(include=set(clause)) == clause


def test_rules_are_read_by_name() -> None:
    rules = {
        "releases": {**RULE, "days": 30, "matching": ["^v[0-9]", "stable"]},
        "rest": {"repositories": ["*"], "days": 1},
    }
    settings, _ = loaded({**GOOD, "retention": {"dryRun": "false", "rules": rules}})
    releases, rest = settings.retention.rules.values()
    assert (releases.last, releases.days, releases.matching) == (10, 30, ["^v[0-9]", "stable"])
    assert (rest.last, rest.days, rest.matching) == (None, 1, [])
    assert not settings.retention.dry_run


@pytest.mark.parametrize(
    ("retention", "key", "expected", "fix"),
    [
        (
            {"rules": {"a": {"repositories": ["team/*"]}}},
            "retention.rules.a",
            "expected last, days or matching: without one, no tag would stay",
            "pulumi config set --path retention.rules.a",
        ),
        (
            {"rules": {"a": {**RULE, "lst": 3}}},
            "retention.rules.a.lst",
            "unknown key; the nearest known one is retention.rules.a.last",
            "pulumi config rm --path retention.rules.a.lst",
        ),
        (
            {"rules": {"a": {**RULE, "last": 0}}},
            "retention.rules.a.last",
            "expected a whole number of 1 or more",
            "pulumi config set --path retention.rules.a.last",
        ),
        (
            {"rules": {"a": {**RULE, "matching": ["("]}}},
            "retention.rules.a.matching[0]",
            "expected a regular expression such as ^v[0-9]: missing ), unterminated subpattern",
            "pulumi config set --path 'retention.rules.a.matching[0]'",
        ),
        (
            {"rules": {"a": {**RULE, "repositories": []}}},
            "retention.rules.a.repositories",
            "expected at least one repository, or * for all",
            "pulumi config rm --path retention.rules.a.repositories && "
            "pulumi config set --path 'retention.rules.a.repositories[0]' '*'",
        ),
        (
            {"rules": {"a": RULE, "b": {**RULE, "repositories": ["team/*", "x"]}}},
            "retention.rules.b.repositories",
            "expected no pattern that is in retention.rules.a, too: team/*",
            "pulumi config rm --path retention.rules.b.repositories && "
            "pulumi config set --path 'retention.rules.b.repositories[0]' x",
        ),
        (
            {"rules": {"a": {**RULE, "repositories": ["registry.example.com/b", "b", "c/*"]}}},
            "retention.rules.a.repositories",
            "expected repositories without the hostname",
            "pulumi config rm --path retention.rules.a.repositories && "
            "pulumi config set --path 'retention.rules.a.repositories[0]' b && "
            "pulumi config set --path 'retention.rules.a.repositories[1]' 'c/*'",
        ),
        (
            {"untaggedDays": 0},
            "retention.untaggedDays",
            "expected a whole number of 1 or more",
            "pulumi config set --path retention.untaggedDays",
        ),
    ],
)
def test_a_wrong_rule_is_refused_with_its_name_and_the_command_that_fixes_it(
    retention: dict[str, Any], key: str, expected: str, fix: str
) -> None:
    (problem,) = problems({**GOOD, "retention": retention})
    assert (problem.key, problem.expected, problem.fix) == (key, expected, fix)


@pytest.mark.parametrize(("days", "proposed"), [(0, ""), (-1, ""), (366, " 365"), ("a week", "")])
def test_what_is_deleted_is_kept_for_a_day_at_least_which_no_fix_proposes(
    days: object, proposed: str
) -> None:
    (problem,) = problems({**GOOD, "maintenance": {"keepDays": days}})
    assert problem.key == "maintenance.keepDays"
    assert problem.fix == f"pulumi config set --path maintenance.keepDays{proposed}"
    for shortest_and_longest in (1, 365):
        loaded({**GOOD, "maintenance": {"keepDays": shortest_and_longest}})


def test_a_maintenance_that_is_refused_is_not_missed_as_well() -> None:
    retention = {"dryRun": False, "rules": {"a": RULE}}
    (problem,) = problems({**GOOD, "maintenance": {"keepDays": 0}, "retention": retention})
    assert problem.key == "maintenance.keepDays"


@pytest.mark.parametrize("key", ["enabled", "collect"])
def test_rules_that_delete_need_a_maintenance_that_does(key: str) -> None:
    off = {**GOOD, "maintenance": {key: False}}
    assert loaded({**off, "retention": {"rules": {"a": RULE}}})[0].retention.dry_run
    (problem,) = problems({**off, "retention": {"dryRun": False, "rules": {"a": RULE}}})
    expected = "expected true: the maintenance deletes what retention lets go"
    fix = f"pulumi config set --path maintenance.{key} true"
    assert problem == Problem(f"maintenance.{key}", "false", expected, fix)
