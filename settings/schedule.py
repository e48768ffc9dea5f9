"""Cron schedules that Kubernetes takes, but for slips that it overlooks, such as ``*-24``.

https://github.com/robfig/cron/blob/v3.0.1/parser.go
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from settings.commands import Ask
from settings.section import FixableError, Text, lower

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: month for month, name in enumerate(_MONTHS, start=1)}),
    (0, 6, {name: day for day, name in enumerate(_DAYS)}),
)
"""The least and greatest minute, hour, day of month, month and day of week, and their names."""

_MACRO = "@(yearly|annually|monthly|weekly|daily|midnight|hourly)"
_EVERY = r"@every (?=\d)([1-9]\d*h)?([1-9]\d*m)?"


def _schedule(text: str) -> str:
    if _fits(text):
        return text
    right = _meant(lower(text))
    raise FixableError(
        "expected minute, hour, day of month, month and day of week, such as 17 * * * *",
        right if _fits(right) else Ask.VALUE,
    )


def _fits(text: str) -> bool:
    if re.fullmatch(f"{_MACRO}|{_EVERY}", text):
        return True
    fields = text.split()
    return len(fields) == len(_FIELDS) and all(
        _part_fits(part, *bounds)
        for field, bounds in zip(fields, _FIELDS, strict=True)
        for part in field.split(",")
    )


def _part_fits(part: str, least: int, greatest: int, names: dict[str, int]) -> bool:
    """Return whether a part of a list is a range within its bounds."""
    numbers = re.sub("[a-z]+", lambda name: str(names.get(name[0], name[0])), part.lower())
    match = re.fullmatch(r"(?:[*?]|(\d+)(?:-(\d+))?)(?:/0*[1-9]\d*)?", numbers, re.ASCII)
    if not match:
        return False
    first = int(match[1] or least)
    return least <= first <= int(match[2] or first) <= greatest


def _meant(text: str) -> str:
    """Return a schedule as Kubernetes takes it, where cron takes more: words, and 7 for Sunday."""
    if re.fullmatch("@?[a-z]+", text):
        return f"@{text.removeprefix('@')}"
    fields = " ".join(re.sub("([a-z]{3})[a-z]+", r"\1", text).split())
    others, space, days = fields.rpartition(" ")
    days = re.sub(r"(\w+)-7(?=,|$)", r"\1-6,0", days)
    return others + space + re.sub(r"(^|(?<=,))7(?=,|$)", "0", days)


Schedule = Annotated[Text, AfterValidator(_schedule)]
