"""Regular expressions of tags, for the Python of the pod that applies them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from settings.commands import Ask
from settings.section import FixableError, Text, trim

_SET = r"\[\^?\]?(?:\\.|[^\]\\])*\]"
_QUANTIFIER = r"(?:[*+?]|\{(?:\d+|\d*,\d*)\})"

_NEWER = re.compile(rf"({_SET}|\\[^z])|({_QUANTIFIER})\+|\(\?(>)|\\z")
"""What Python learned after 3.9, in the second group, the third, and alone; the first is skipped:
https://docs.python.org/3/library/re.html#regular-expression-syntax"""

_POSSIBLE = re.compile(
    rf"(\\[^A-Za-z0-9._-])|\\.|{_SET}|{_QUANTIFIER}\??"
    r"|\(\?(?:P<\w+>|P=\w+|[aiLmsux-]*[:)]|<?[=!]|#[^)]*\)|\(\w+\))"
    r"|[.^$|()A-Za-z0-9_-]"
)
"""All that can be in an expression that a tag matches, but for the first group:
https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests"""

_ALL = (".*", "^.*", ".*$", "^.*$")


def _pattern(text: str) -> str:
    if reason := _reason(text):
        right = next((x for x in _meant(text) if not _reason(x)), Ask.VALUE)
        raise FixableError(f"expected a regular expression such as ^v[0-9]: {reason}", right)
    return text


def _reason(text: str) -> str:
    """Return why an expression is refused; empty if it is not."""
    try:
        with warnings.catch_warnings(action="error"):
            matches_all = re.compile(text).search("") is not None
    except (re.error, OverflowError, RecursionError, Warning) as error:
        return str(getattr(error, "msg", error))
    if _for_older(text) != text:
        return "possessive quantifiers, atomic groups and \\z are unknown to Python before 3.11"
    if impossible := _POSSIBLE.sub(r"\1", text).lstrip("\\"):
        return f"no tag has {impossible[0]!r}"
    if matches_all and text not in _ALL:
        return f"this keeps every tag, as {_ALL[0]} says on purpose"
    return ""


def _for_older(text: str) -> str:
    """Return an expression without what Python learned after 3.9."""

    def older(match: re.Match[str]) -> str:
        kept, quantifier, atomic = match.groups()
        return kept or quantifier or ("(?:" if atomic else r"\Z")

    return _NEWER.sub(older, text)


def _meant(text: str) -> Iterator[str]:
    """Yield what those may mean who know other expressions, lists or globs."""
    text = trim(text)
    yield text
    yield _for_older(text)
    if slashed := re.fullmatch("/(.*)/([a-z]*)", text):
        yield f"(?i){slashed[1]}" if "i" in slashed[2] else slashed[1]
    if listed := re.fullmatch(r"\{?([\w.-]+([, ]+[\w.-]+)*)\}?", text):
        yield f"^({'|'.join(map(re.escape, re.split('[, ]+', listed[1])))})$"
    if glob := re.fullmatch(r"([\w.-]*)\*([\w.-]*)", text):
        yield f"^{re.escape(glob[1])}.*{re.escape(glob[2])}$"


TagPattern = Annotated[Text, AfterValidator(_pattern)]
