"""What tags named that are gone, or name something else now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from scripts.maintenance.history import CLIENT, Gone, History, load_gone
from scripts.maintenance.keys import blob_key, swept_key, tag_key
from scripts.maintenance.remembered import date
from scripts.maintenance.state import State
from scripts.shared.objects import Objects

NOT_DELETED = "not deleted"
NEXT_RUN = "the next run"
FOR_GOOD = "gone for good"


class Missing(NamedTuple):
    """What a tag named and does not name now; `current` is what it names, if anything."""

    gone: Gone
    current: str


def versions(objects: Objects, history: History, repository: str) -> list[Gone]:
    """Return all that tags are known to have named, what they named last first.

    Without a repository, those of all.
    """
    last_seen = [
        # Perhaps it is gone since.
        Gone(name, tag, x.digest, history.time, x.since, x.pushed, CLIENT, objects.now)
        for name, tags in history.tags.items()
        for tag, x in tags.items()
    ]
    known = [x for x in load_gone(objects) + last_seen if repository in {"", x.repository}]
    return sorted(known, key=lambda x: (x.since, x.seen), reverse=True)


def missing(objects: Objects, known: Iterable[Gone]) -> list[Missing]:
    """Return what tags named, and do not name now, each once, what went last first."""
    latest = sorted(known, key=lambda x: x.noticed)
    gone = {(x.repository, x.tag, x.digest): x for x in latest}
    tags = list({(name, tag): None for name, tag, _ in gone})
    contents = objects.each(lambda tag: objects.get(tag_key(*tag)) or b"", tags)
    current = {tag: x.decode(errors="replace") for tag, x in zip(tags, contents)}
    every = [Missing(x, current[x.repository, x.tag]) for x in gone.values()]
    every = [x for x in every if x.current != x.gone.digest]
    return sorted(every, key=lambda x: (-x.gone.noticed, x.gone.repository, x.gone.tag))


def lines(objects: Objects, state: State, every: Iterable[Missing]) -> Iterator[str]:
    """Yield what is gone, as a table."""
    every = list(every)
    until = objects.each(
        lambda digest: _until(objects, state, digest), [x.gone.digest for x in every]
    )
    heads = ("image", "pushed", "gone", "by", "kept at least until", "digest")
    cells = [
        (
            f"{x.gone.repository}:{x.gone.tag}",
            date(x.gone.pushed),
            date(x.gone.noticed),
            f"{x.gone.by}, overwritten" if x.current else x.gone.by,
            end,
            x.gone.digest,
        )
        for x, end in zip(every, until)
    ]
    widths = [max(len(row[column]) for row in [heads, *cells]) for column in range(len(heads))]
    for row in [heads, *cells]:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()


def _until(objects: Objects, state: State, digest: str) -> str:
    """Return until when, at least, a manifest is there with all that it needs."""
    if objects.head(blob_key(digest)):
        moment = state.unneeded.get(digest, 0)
    elif copy := objects.head(swept_key(digest)):
        moment = copy.modified
    else:
        return FOR_GOOD
    if not (moment and state.keep):
        return NOT_DELETED
    end = moment + state.keep
    return date(end) if end > objects.now else NEXT_RUN
