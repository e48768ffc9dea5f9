"""What the maintenance remembers from run to run, as JSON beside the registry's own folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, TypeVar

from scripts.shared.objects import Objects, StorageError

Remembered = TypeVar("Remembered")


def read(
    objects: Objects, key: str, parse: Callable[[Any], Remembered], without: str
) -> Remembered | None:
    """Return what an object holds; None if there is no such object.

    Args:
        parse: Makes it of what the JSON holds.
        without: What happens once the object is deleted.

    Raises:
        StorageError: If it cannot be read. It is not begun anew: that would forget things unasked.
    """
    content = objects.get(key)
    if content is None:
        return None
    try:
        return parse(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StorageError(
            f"{key} cannot be read ({type(error).__name__}); fix: delete this object; {without}"
        ) from error


def date(moment: float) -> str:
    """Return a time, in seconds since 1970, as text such as 2026-11-25 12:17 UTC."""
    return f"{datetime.fromtimestamp(moment, timezone.utc):%Y-%m-%d %H:%M} UTC"


def day(moment: float) -> str:
    """Return the day of a time as text, such as 2026-11-25, in UTC."""
    return f"{datetime.fromtimestamp(moment, timezone.utc):%Y-%m-%d}"


def write(objects: Objects, key: str, value: object) -> str:
    """Write an object, and return its ETag."""
    return objects.put(key, json.dumps(value, separators=(",", ":")).encode())
