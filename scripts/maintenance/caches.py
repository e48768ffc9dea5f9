"""The caches of other registries: what they hold, and what they may keep.

A cache can fetch everything again, so objects are deleted one by one, whatever they are. Plain
Python 3.9 with nothing installed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from scripts.maintenance.clock import DAY
from scripts.maintenance.keys import CACHES
from scripts.shared.objects import Objects


class Limit(NamedTuple):
    """What a cache may keep.

    Attributes:
        days: For how many days it keeps what it has fetched.
        size: How many bytes it keeps.
    """

    days: int
    size: int


NOTHING = Limit(0, 0)


def held(objects: Objects) -> dict[str, int]:
    """Return how many bytes each cache holds, by its name."""
    sizes: dict[str, int] = defaultdict(int)
    for entry in objects.list(CACHES):
        sizes[_name(entry.key)] += entry.size
    return dict(sizes)


def trim(objects: Objects, limits: Mapping[str, Limit]) -> dict[str, int]:
    """Delete what caches may not keep, what was written first at first; return what they hold.

    A cache without a limit, which is one that is no longer configured, keeps nothing.
    """
    sizes: dict[str, int] = defaultdict(int)
    kept: dict[str, int] = defaultdict(int)
    gone = []
    for entry in sorted(objects.list(CACHES), key=lambda entry: entry.modified, reverse=True):
        name = _name(entry.key)
        limit = limits.get(name, NOTHING)
        sizes[name] += entry.size
        if sizes[name] > limit.size or objects.now - entry.modified > limit.days * DAY:
            gone.append(entry.key)
        else:
            kept[name] += entry.size
    objects.each(objects.delete, gone)
    return dict(kept)


def _name(key: str) -> str:
    return key[len(CACHES) :].partition("/")[0]
