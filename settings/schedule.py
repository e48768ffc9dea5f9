"""Cron schedules that Kubernetes takes, but for slips that it overlooks, such as ``*-24``.

https://github.com/robfig/cron/blob/v3.0.1/parser.go
Only Kubernetes looks whether a range ends before it begins; its error says so.
"""

from __future__ import annotations

import re
from typing import Annotated

from settings.section import Text, lower, matching


def _named(numbers: str, names: str) -> str:
    """Return a regular expression of numbers, and of names in any case."""
    return "|".join([numbers, *re.sub(r"\w", lambda x: f"[{x[0]}{x[0].upper()}]", names).split()])


_NUMBERS = (
    "0*[1-5]?[0-9]",
    "0*(1?[0-9]|2[0-3])",
    "0*([1-9]|[12][0-9]|3[01])",
    _named("0*([1-9]|1[0-2])", "jan feb mar apr may jun jul aug sep oct nov dec"),
    _named("0*[0-6]", "sun mon tue wed thu fri sat"),
)
"""Minute, hour, day of month, month and day of week."""

_PARTS = [rf"([*?]|({x})(-({x}))?)(/0*[1-9][0-9]*)?" for x in _NUMBERS]
_FIELDS = r"[ \t]+".join(rf"{part}(,{part})*" for part in _PARTS)
_MACRO = "@(yearly|annually|monthly|weekly|daily|midnight|hourly)"
_EVERY = "@every (?=[0-9])([1-9][0-9]*h)?([1-9][0-9]*m)?"


def _meant(text: str) -> str:
    """Return a schedule in lowercase, with 0 for Sunday where other crons take 7."""
    text = re.sub(r"(?<=[ ,])7$", "0", lower(text))
    return re.sub("^(?=[a-z]+$)", "@", text)


_MACRO_DAYS = {"@yearly": 366, "@annually": 366, "@monthly": 31, "@weekly": 7}


def longest_days(schedule: str) -> int:
    """Return how many days can be between two times of a schedule at most, or a few more."""
    if schedule.startswith("@"):
        hours = int((re.search(r"\d+(?=h)", schedule) or ["0"])[0])
        return _MACRO_DAYS.get(schedule, hours // 24 + 1)
    _, _, day, month, weekday = (field not in {"*", "?"} for field in schedule.split())
    # Of two restricted days, either is enough.
    return 366 if month else 7 if weekday else 31 if day else 1


Schedule = Annotated[
    Text,
    matching(
        rf"[ \t]*{_FIELDS}[ \t]*|{_MACRO}|{_EVERY}",
        "minute, hour, day of month, month and day of week, such as 17 * * * *",
        _meant,
    ),
]
