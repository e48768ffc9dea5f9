"""Regular expressions of tags: a wrong one lets tags go that it was to keep, or keeps all."""

from __future__ import annotations

import sys

import pytest

from settings.problems import Problem
from tests.unit.settings.helpers import GOOD, loaded, problems

NEWER = "possessive quantifiers, atomic groups and \\z are unknown to Python before 3.11"

BAD_Z = NEWER if sys.version_info >= (3, 14) else "bad escape \\z"
"""Python 3.14 knows it, and 3.11 does not."""


def rule(pattern: str) -> dict[str, object]:
    rules = {"r": {"repositories": ["*"], "matching": [pattern]}}
    return {**GOOD, "retention": {"rules": rules}}


@pytest.mark.parametrize(
    "pattern",
    [
        *("^v[0-9]", "stable", "^v\\d+\\.\\d+$", "-rc[.]?\\d*$", "^(?:v1|v2)\\Z", "(?i)^Release"),
        *(
            "v{1,2}",
            "v{3}",
            "v{,3}?x",
            "v+?",
            "(?P<a>x)(?P=a)",
            "(?=v)v1",
            "(?<!x)y",
            "(a)?(?(1)b|c)",
        ),
        *("\\w+_\\b", "[^/{},]+", "[]/]v", "[+]+", "[a++(?>]x", "x(?#by hand)", "(?s-i:.)v"),
        # All tags, said plainly: these repositories are out of the reach of a broader rule.
        *(".*", "^.*", ".*$", "^.*$"),
    ],
)
def test_an_expression_is_taken(pattern: str) -> None:
    (taken,) = loaded(rule(pattern))[0].retention.rules["r"].matching
    assert taken == pattern


@pytest.mark.parametrize(
    ("pattern", "reason", "right"),
    [
        ("(", "missing ), unterminated subpattern", ""),
        ("[[:alpha:]]", "Possible nested set at position 1", ""),
        ("x(?i)", "global flags not at the start of the expression", ""),
        ("x{99999999999999}", "the repetition number is too large", ""),
        # What the Python of an older scripts.image does not know.
        ("(?>a)b", NEWER, "'(?:a)b'"),
        ("a++b*+c?+d{1,2}+", NEWER, "'a+b*c?d{1,2}'"),
        ("[a++]++", NEWER, "'[a++]+'"),
        ("v1\\z", BAD_Z, "'v1\\Z'"),
        # What is in no tag, so that nothing is kept.
        ("/^v/", "no tag has '/'", "'^v'"),
        ("/^v/gi", "no tag has '/'", "'(?i)^v'"),
        ("release\\/", "no tag has '/'", ""),
        ("1\\+2", "no tag has '+'", ""),
        ("{v1,v2}", "no tag has '{'", "'^(v1|v2)$'"),
        ("v1, v2.0", "no tag has ','", "'^(v1|v2\\.0)$'"),
        ("team/app:v1", "no tag has '/'", ""),
        ("'^v'", 'no tag has "\'"', "'^v'"),
        ("^v\n", "no tag has '\\n'", "'^v'"),
        ("é", "no tag has 'é'", ""),
        # Globs, and what else keeps all.
        ("*-rc", "nothing to repeat", "'^.*\\-rc$'"),
        ("v*", "this keeps every tag, as .* says on purpose", "'^v.*$'"),
        ("", "this keeps every tag, as .* says on purpose", ""),
        ("^", "this keeps every tag, as .* says on purpose", ""),
        ("v1|", "this keeps every tag, as .* says on purpose", ""),
    ],
)
def test_another_expression_is_refused_with_the_reason(
    pattern: str, reason: str, right: str
) -> None:
    (problem,) = problems(rule(pattern))
    assert problem == Problem(
        "retention.rules.r.matching[0]",
        problem.value,
        f"expected a regular expression such as ^v[0-9]: {reason}",
        f"pulumi config set --path 'retention.rules.r.matching[0]' {right}".rstrip(),
    )
