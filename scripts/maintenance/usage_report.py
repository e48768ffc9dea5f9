"""What users see of a run on the page: repositories, their sizes, and when tags were pushed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scripts.maintenance.usage import Usage, needs
from scripts.maintenance.usage_chart import chart
from scripts.maintenance.usage_history import History
from scripts.maintenance.walk import Walk
from scripts.shared.reports import may_pull


def usage_report(
    walk: Walk, used: Usage, history: History, patterns: Sequence[str], items: int
) -> dict[str, Any]:
    """Return the report for who may pull repositories of some patterns, as JSON has it.

    Which bytes are shared would tell of layers in repositories that the reader may not see, so only
    who sees all of them gets that, and the chart.

    Args:
        items: How many repositories there are at most, and how many tags: the newest.
    """
    rows = [row for row in used.rows if may_pull(patterns, row.name)]
    tags = [
        (tag.pushed, tag.digest, row.name, name)
        for row in rows
        for name, tag in walk.repositories[row.name].tags.items()
    ]
    pushed: dict[str, dict[str, list[Any]]] = {}
    for when, digest, repository, name in sorted(tags, reverse=True)[:items]:
        # Enough to tell whether the tag is still the same.
        pushed.setdefault(repository, {})[name] = [
            round(when),
            digest.partition(":")[2][:8],
            _size(walk, digest),
        ]
    everything: dict[str, Any] = {
        "own": {row.name: row.own for row in rows[:items]},
        "shared": used.shared,
        "unneeded": used.unneeded + used.copies,
        "caches": dict(used.caches),
        "total": used.total,
        "chart": chart(history),
    }
    return {
        "time": round(walk.now),
        "cut": items < max(len(rows), len(tags)),
        "repositories": [[row.name, row.tags, row.own + row.shared] for row in rows[:items]],
        "pushed": pushed,
        **(everything if "*" in patterns else {}),
    }


def _size(walk: Walk, digest: str) -> int:
    """Return the bytes of an image, or of those of all platforms."""
    manifest = walk.manifests.get(digest)
    children = manifest.children if manifest else ()
    return sum(walk.blobs[x] for x in needs(walk, [digest, *children]))
