"""Rules of tags that stay what they are."""

from __future__ import annotations

from typing import Any

import pytest

from settings.immutable import ImmutableRule
from tests.unit.settings.helpers import GOOD, loaded, problems


def immutable(values: dict[str, Any]) -> dict[str, ImmutableRule]:
    return loaded({**GOOD, "immutable": values})[0].immutable


def test_no_tag_is_immutable_by_default() -> None:
    assert loaded(GOOD)[0].immutable == {}


def test_a_rule_is_for_all_tags_and_for_the_admin_too() -> None:
    """Who asks for tags that stay means those that someone changes by accident as the admin."""
    rule = immutable({"all": {"repositories": ["*"]}})["all"]
    assert (rule.matching, rule.except_admin) == ([".*"], False)


@pytest.mark.parametrize("key", ["repositories", "matching"])
def test_a_rule_that_is_for_nothing_is_refused(key: str) -> None:
    """It would be taken for a protection."""
    (problem,) = problems({**GOOD, "immutable": {"a": {"repositories": ["x"], key: []}}})
    assert problem.key == f"immutable.a.{key}"
    assert problem.expected.startswith("expected at least one ")


def test_a_repository_has_no_hostname() -> None:
    rule = {"repositories": [f"{GOOD['hostname']}/team/*"]}
    (problem,) = problems({**GOOD, "immutable": {"a": rule}})
    assert problem.key == "immutable.a.repositories"
    assert problem.fix.endswith("pulumi config set --path 'immutable.a.repositories[0]' 'team/*'")


@pytest.mark.parametrize(
    "pattern",
    [
        *("^v[0-9]", r"^\d+\.\d+$", "-final$", "(?i)release", "^(a|b)", r"[\d.]+", ".*", "^v{2,3}"),
        *("^[^.]+$", "a{1000}"),
    ],
)
def test_what_python_and_go_read_alike_is_taken(pattern: str) -> None:
    rule = {"repositories": ["x"], "matching": [pattern]}
    assert immutable({"a": rule})["a"].matching == [pattern]


@pytest.mark.parametrize(
    "pattern",
    [
        *("^(?!dev)", "(?<=v)1", r"(v)\1", "(?P<x>v)(?P=x)", "v{,2}", r"v\Z", r"\x76", r"\u0076"),
        *("[[:alpha:]]", "(?x)v 1", "(?a)v", "(v)?(?(1)1|2)", "v(?#x)", "a{1001}", "(a{100}){11}"),
    ],
)
def test_what_one_of_them_reads_otherwise_is_refused(pattern: str) -> None:
    """The auth proxy would not start, or would let a tag change that retention calls a release."""
    rule = {"repositories": ["x"], "matching": [pattern]}
    (problem,) = problems({**GOOD, "immutable": {"a": rule}})
    assert problem.key == "immutable.a.matching[0]"
    assert problem.expected.startswith("expected a ")
