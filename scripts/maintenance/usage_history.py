"""How the usage has changed: one object in the bucket.

Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

from collections.abc import Mapping

from scripts.maintenance.remembered import day, read, write
from scripts.maintenance.usage import Usage, table
from scripts.shared.objects import Objects

KEY = "maintenance/usage.json"
"""Beside the registry's own folder."""

TABLE_KEY = "maintenance/usage.txt"
"""The table of the last run, which `pulumi up` shows."""

DAYS = 400
"""How many days are kept."""

SHARED, UNNEEDED = "(shared)", "(needed by nothing)"
"""What belongs to no repository alone; no repository has such a name."""

History = Mapping[str, Mapping[str, int]]
"""Bytes by repository, by day as in 2026-11-25."""


def load(objects: Objects) -> History:
    """Return the usage of past days; raises what :func:`.remembered.read` does."""

    def parse(days: dict[str, dict[str, int]]) -> History:
        return {day: {name: int(size) for name, size in x.items()} for day, x in days.items()}

    return read(objects, KEY, parse, "the usage of past days is forgotten then") or {}


def record(objects: Objects, usage: Usage, now: float, advice: str) -> History:
    """Note the usage of a day, of which the last run counts, and return that of all days.

    Args:
        objects: The bucket.
        usage: The usage.
        now: The time, in seconds since 1970.
        advice: What to show below the table.
    """
    today = day(now)
    sizes = {row.name: row.own for row in usage.rows}
    sizes |= {SHARED: usage.shared, UNNEEDED: usage.unneeded + usage.copies}
    sizes |= {f"(cache {name})": size for name, size in usage.caches.items()}
    # The table first: what cannot be read of past days does not hide it.
    objects.put(TABLE_KEY, f"{table(usage)}\n{advice}".encode())
    days = {**load(objects), today: sizes}
    kept = {x: days[x] for x in sorted(days)[-DAYS:]}
    write(objects, KEY, kept)
    return kept
