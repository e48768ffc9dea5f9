"""Cron schedules, as Kubernetes takes them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from settings.section import FixableError, Text

_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
"""The least and greatest minute, hour, day of month, month and day of week:
https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax"""


def _schedule(text: str) -> str:
    fields = text.split()
    if len(fields) == len(_BOUNDS) and all(map(_fits, fields, _BOUNDS)):
        return text
    raise FixableError(
        "expected minute, hour, day of month, month and day of week in numbers, such as 17 * * * *"
    )


def _fits(field: str, bounds: tuple[int, int]) -> bool:
    """Return whether a field is a list of ranges within its bounds."""
    least, greatest = bounds
    for part in field.split(","):
        match = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?", part)
        if not match:
            return False
        first = int(match[1] or least)
        if not least <= first <= int(match[2] or first) <= greatest:
            return False
    return True


Schedule = Annotated[Text, AfterValidator(_schedule)]
