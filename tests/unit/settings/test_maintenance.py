"""The settings of maintenance and retention."""

from __future__ import annotations

from typing import Any

import pytest

from settings.schema import RetentionSettings
from tests.unit.settings.test_settings import GOOD, loaded, problems

RULE = {"repositories": ["team/*"], "keep": {"last": 10}}


def test_by_default_nothing_that_has_a_tag_or_had_one_is_ever_deleted() -> None:
    settings, _ = loaded(GOOD)
    assert settings.retention == RetentionSettings(dry_run=True, untagged_days=None, rules=[])
    assert settings.maintenance.collect
    assert settings.maintenance.keep_days == 7


def test_rules_are_taken() -> None:
    keep = {"last": 10, "days": 30, "matching": ["^v[0-9]", "stable"]}
    retention = {"dryRun": False, "untaggedDays": 14, "rules": [{**RULE, "keep": keep}, RULE]}
    settings, _ = loaded({**GOOD, "retention": retention})
    assert settings.retention.rules[0].keep.days == 30
    assert settings.retention.rules[1].keep.matching == []


@pytest.mark.parametrize(
    ("retention", "key", "expected", "fix"),
    [
        (
            {"rules": [RULE, {**RULE, "keep": {}}]},
            "retention.rules[1].keep",
            "a rule without deletes all tags",
            "pulumi config set --path 'retention.rules[1].keep.last' 10",
        ),
        (
            {"rules": [{**RULE, "keep": {"lst": 3}}]},
            "retention.rules[0].keep.lst",
            "the nearest known one is retention.rules[0].keep.last",
            "pulumi config rm --path 'retention.rules[0].keep.lst' && "
            "pulumi config set --path 'retention.rules[0].keep.last' 3",
        ),
        (
            {"rules": [{**RULE, "keep": {"last": 0}}]},
            "retention.rules[0].keep.last",
            "greater than or equal to 1",
            "pulumi config set --path 'retention.rules[0].keep.last' 10",
        ),
        (
            {"rules": [{**RULE, "keep": {"matching": ["("]}}]},
            "retention.rules[0].keep.matching",
            "a regular expression: missing )",
            "pulumi config rm --path 'retention.rules[0].keep.matching' && "
            "pulumi config set --path 'retention.rules[0].keep.matching[0]' '^v[0-9]'",
        ),
        (
            {"rules": [{**RULE, "repositories": []}]},
            "retention.rules[0].repositories",
            "at least one repository",
            "pulumi config rm --path 'retention.rules[0].repositories' && "
            "pulumi config set --path 'retention.rules[0].repositories[0]' 'team/*'",
        ),
        (
            {"rules": 3},
            "retention.rules",
            "a valid list",
            "pulumi config rm --path retention.rules",
        ),
        (
            {"untaggedDays": 0},
            "retention.untaggedDays",
            "greater than or equal to 1",
            "pulumi config set --path retention.untaggedDays 14",
        ),
    ],
)
def test_a_wrong_rule_is_refused_with_its_number_and_the_command_that_fixes_it(
    retention: dict[str, Any], key: str, expected: str, fix: str
) -> None:
    (problem,) = problems({**GOOD, "retention": retention})
    assert problem.key == key
    assert expected in problem.expected
    assert problem.fix == fix


@pytest.mark.parametrize("schedule", ["hourly", "17 * * *", "@daily", "17 * * * * *", "a b c d e"])
def test_a_schedule_has_five_fields(schedule: str) -> None:
    (problem,) = problems({**GOOD, "maintenance": {"schedule": schedule}})
    assert problem.fix == "pulumi config set --path maintenance.schedule '17 * * * *'"


@pytest.mark.parametrize("days", [0, -1, 366, "7"])
def test_what_is_deleted_is_kept_for_a_day_at_least(days: object) -> None:
    (problem,) = problems({**GOOD, "maintenance": {"keepDays": days}})
    assert problem.fix == "pulumi config set --path maintenance.keepDays 7"
