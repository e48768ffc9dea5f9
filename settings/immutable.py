"""The settings of tags that stay what they are."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import AfterValidator, field_validator

from settings.section import FixableError, Flag, ListOf, Section
from settings.tag_pattern import TagPattern
from settings.types import RepositoryPattern, some_repositories

_SET = r"\[\^?(?:[A-Za-z0-9_.-]|\\[dw.-])+\]"
_QUANTIFIER = r"(?:[*+?]|\{\d+(?:,\d*)?\})\??"
_COMMON = re.compile(
    rf"(?:\\[bBdDwW.-]|{_SET}|{_QUANTIFIER}|\((?:\?:|\?[ims]+\)|(?!\?))|[.^$|)A-Za-z0-9_-])*"
)
"""What Python and Go, which the auth proxy is made of, read alike:
https://github.com/google/re2/wiki/Syntax"""

_MOST_REPETITIONS = 1000
"""Of Go, for quantifiers in each other: https://pkg.go.dev/regexp/syntax"""


def _for_go(pattern: str) -> str:
    counts = map(int, re.findall(r"\d+(?=[\d,]*\})", pattern))
    if not _COMMON.fullmatch(pattern) or math.prod(filter(None, counts)) > _MOST_REPETITIONS:
        raise FixableError(
            "expected a simple regular expression such as ^v[0-9]: no look-around, no references, "
            "no counts above 1000"
        )
    return pattern


class ImmutableRule(Section):
    """Tags of some repositories that stay what they are."""

    repositories: ListOf[RepositoryPattern]
    """The repositories: `team/app`, all below `team/*`, or `*` for all."""
    matching: ListOf[Annotated[TagPattern, AfterValidator(_for_go)]] = [".*"]  # noqa: RUF012 - pydantic copies it
    """Regular expressions of the tags, such as `^v[0-9]`, with anything before or after the match;
    all, if it is not set."""
    except_admin: Flag = False
    """Let the admin change and delete them all the same."""

    _name_some = field_validator("repositories")(some_repositories)

    @field_validator("matching")
    @classmethod
    def _match_some(cls, matching: list[str]) -> list[str]:
        if not matching:
            raise FixableError("expected at least one regular expression, or .* for all", [".*"])
        return matching
