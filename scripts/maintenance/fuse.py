"""A run that would delete much, or finds that much is gone, stops until somebody confirms it."""

from __future__ import annotations

from typing import Any

from scripts.maintenance.keys import OWN
from scripts.maintenance.remembered import read, write
from scripts.maintenance.state import Stopped, Sums
from scripts.maintenance.walk import Walk
from scripts.shared.objects import Objects

KEY = f"{OWN}confirmed.json"
"""What somebody has confirmed, which only the command that does so writes."""

SHARE = 5
"""No more than one of so many may go at once."""

LEAST = Sums(tags=5, manifests=5, blobs=20)
"""Fewer may always go, or a registry of three images could not lose one."""

CONFIRMED_SECONDS = 3 * 86400
"""How much longer than what is deleted is kept a confirmation lasts: first tags go, and what only
they needed goes when it was kept for long enough, in several runs with a day in between."""


def sums(walk: Walk) -> Sums:
    """Return how much there is."""
    return Sums(
        tags=sum(len(x.tags) for x in walk.repositories.values()),
        manifests=len({digest for x in walk.repositories.values() for digest in x.revisions}),
        blobs=len(walk.blobs),
        size=sum(walk.blobs.values()),
    )


def gone(before: Sums, now: Sums) -> Sums:
    """Return how much less there is."""
    return Sums(*(max(0, old - new) for old, new in zip(before, now)))


def blows(part: Sums, whole: Sums) -> bool:
    """Return whether a part is more than may go at once."""
    return (
        (part.tags >= LEAST.tags and part.tags * SHARE > whole.tags)
        or (part.manifests >= LEAST.manifests and part.manifests * SHARE > whole.manifests)
        or (part.blobs >= LEAST.blobs and part.size * SHARE > whole.size)
    )


def confirmed(objects: Objects, part: Sums, now: float) -> bool:
    """Return whether somebody has confirmed that so much may go.

    Raises:
        StorageError: What was confirmed cannot be read.
    """

    def parse(values: dict[str, Any]) -> tuple[float, Sums]:
        return float(values["until"]), Sums(*values["most"])

    until, most = read(objects, KEY, parse, "nothing is confirmed then") or (0.0, Sums())
    return now < until and all(x <= limit for x, limit in zip(part, most))


def confirm(objects: Objects, stopped: Stopped) -> float:
    """Confirm that as much may go as a run has stopped for, and return until when that holds.

    A tenth more may go: until the next run, a little more may have become due.
    """
    until = objects.now + stopped.seconds
    write(objects, KEY, {"until": until, "most": [(x * 11 + 9) // 10 for x in stopped.sums]})
    return until


def words(part: Sums, whole: Sums) -> str:
    """Return how much of a whole a part is."""
    return (
        f"{part.tags} of {whole.tags} tags, {part.manifests} of {whole.manifests} manifests, "
        f"{part.size} of {whole.size} bytes"
    )
