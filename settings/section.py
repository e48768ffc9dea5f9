"""What all settings share: sections, values as Pulumi writes them, and errors with their fixes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from settings.commands import Ask, KeyPath

_Element = TypeVar("_Element")


class FixableError(ValueError):
    """A value is refused, and how to fix that is known.

    Args:
        expected: What is expected, or why the value is refused.
        right: The value to set instead; None removes the key.
        key: The key to report, if it is not the validated one.
        fixes: Keys to set instead, with their values, if not the reported one.
    """

    def __init__(
        self,
        expected: str,
        right: object = Ask.VALUE,
        *,
        key: KeyPath = (),
        fixes: Mapping[KeyPath, object] | None = None,
    ) -> None:
        super().__init__(expected)
        self.right = right
        self.key = key
        self.fixes = fixes


class Section(BaseModel):
    """Settings that belong together; refuses keys that it does not know."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, validate_default=True
    )

    @classmethod
    def aliases(cls) -> dict[str, FieldInfo]:
        """Return the fields by the names that they have in the configuration."""
        return {str(field.alias): field for field in cls.model_fields.values()}

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, value: object) -> object:
        return drop_empty(value)


def drop_empty(value: object) -> object:
    """Return a section's configuration without the keys that are left empty."""
    if isinstance(value, dict):
        return {name: inner for name, inner in value.items() if inner is not None}
    return {} if value in (None, "") else value


def kinds(field: FieldInfo) -> dict[str, type[Section]]:
    """Return the kinds of a section by what its discriminator holds."""
    tag = str(field.discriminator)
    return {kind.model_fields[tag].default: kind for kind in get_args(field.annotation)}


def _text(value: object) -> object:
    """Return text for what Pulumi and YAML take for a number or a boolean."""
    if isinstance(value, float):
        raise FixableError("expected text: a number such as this one loses digits", Ask.DIGITS)
    if isinstance(value, int):
        return json.dumps(value)
    if not isinstance(value, str):
        raise ValueError("expected text")  # noqa: TRY004 - pydantic collects ValueErrors only
    return value


def _number(value: object) -> object:
    if isinstance(value, bool) or not re.fullmatch(r"-?\d+", str(value)):
        raise ValueError("expected a whole number")
    return int(str(value))


def _positive(number: int) -> int:
    if number < 1:
        # No command with the least number: it may be the one that deletes the most.
        raise FixableError("expected a whole number of 1 or more")
    return number


WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
"""What is taken for a boolean, in any case."""


def _flag(value: object) -> object:
    word = str(value).lower()
    if word not in WORDS:
        raise ValueError("expected true or false")
    return WORDS[word]


def _listed(value: object) -> object:
    if isinstance(value, str | int):
        text = str(value)
        # Brackets and commas inside of anything else are those of a regular expression.
        several = re.fullmatch(r"\[?[\w\s,.*/:@\"'-]*\]?", text)
        words = re.findall(r"[^\s,\[\]\"']+", text) if several else [text]
        raise FixableError("expected a list", words or None)
    return value


def _once(values: list[_Element]) -> list[_Element]:
    return list(dict.fromkeys(values))


def _named(value: object) -> object:
    return {} if value in (None, "") else value


Text = Annotated[str, BeforeValidator(_text)]
Number = Annotated[int, BeforeValidator(_number)]
Positive = Annotated[Number, AfterValidator(_positive)]
Flag = Annotated[bool, BeforeValidator(_flag)]
ListOf = Annotated[list[_Element], BeforeValidator(_listed), AfterValidator(_once)]
"""A list; what is in it twice, in whatever spelling, is taken once."""
NAMED = BeforeValidator(_named)
"""For fields that are mappings by name; nothing is none."""


def trim(text: str) -> str:
    """Return a text without the spaces and quotes around it."""
    return text.strip(" \t\r\n\"'")


def lower(text: str) -> str:
    """Return a text in lowercase, without the spaces and quotes around it."""
    return trim(text).lower()


def hyphenate(text: str) -> str:
    """Return the words of a text as a Kubernetes name has them."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


@dataclass(frozen=True)
class Matching(AfterValidator):
    """A validator of text, whose pattern is known."""

    pattern: str
    expected: str


def matching(pattern: str, expected: str, correct: Callable[[str], str] = trim) -> Matching:
    """Return a validator that refuses what does not match a pattern as a whole.

    Args:
        expected: What it stands for, in words.
        correct: Turns what was probably meant into what matches, where it can.
    """

    def check(value: str) -> str:
        if re.fullmatch(pattern, value):
            return value
        right = correct(value)
        raise FixableError(
            f"expected {expected}", right if re.fullmatch(pattern, right) else Ask.VALUE
        )

    return Matching(check, pattern, expected)
