"""What tags name, and what they named before, so that it can be brought back."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from scripts.maintenance.keys import OWN
from scripts.maintenance.remembered import day, read, write
from scripts.maintenance.repository import Tag
from scripts.maintenance.walk import Walk
from scripts.shared.objects import Objects

KEY = f"{OWN}tags.json"
"""What tags name."""

GONE = f"{OWN}gone/"
"""What they named before: an object for each day, so that no run reads all of it."""

RESTORED = f"{OWN}restored.json"
"""What was brought back, which only the command that does so writes."""

REMEMBER_DAYS = 90
"""How long it is known what a tag named that was deleted or overwritten."""

CLIENT = "a client"
"""Who deleted or overwrote a tag, if no rule did."""


class Gone(NamedTuple):
    """A tag that named something else, or was there, when it was last seen.

    Attributes:
        seen: When it was last seen so, in seconds since 1970.
        since: When it began to be so, likewise: by a push or a restore.
        pushed: When it was last pushed there, likewise.
        by: The rule that deleted it, or :data:`CLIENT`.
        noticed: When a run saw that it was gone, or deleted it, likewise.
    """

    repository: str
    tag: str
    digest: str
    seen: float
    since: float
    pushed: float
    by: str
    noticed: float


class Named(NamedTuple):
    """What a tag names.

    Attributes:
        since: Since when, in seconds since 1970: by a push or a restore.
        pushed: When it was last pushed there, likewise.
    """

    digest: str
    since: float
    pushed: float


class Restored(NamedTuple):
    """A tag that was brought back.

    Attributes:
        pushed: When it had been pushed, in seconds since 1970.
        written: Until when its link was written, likewise. Whoever writes it later pushes it.
    """

    digest: str
    pushed: float
    written: float


@dataclass
class History:
    """What is known of tags.

    Attributes:
        time: When that was, in seconds since 1970; 0 before the first time.
        tags: What each tag named then, by repository.
        place: The URL of the bucket's folder.
        copied: When it was first seen that all of this is a copy from another place, likewise; 0 if
            it is none.
        gone: What this run has seen to be gone.
        restored: What was brought back, by repository and tag.
    """

    time: float = 0
    tags: dict[str, dict[str, Named]] = field(default_factory=dict)
    place: str = ""
    copied: float = 0
    gone: list[Gone] = field(default_factory=list)
    restored: dict[str, dict[str, Restored]] = field(default_factory=dict)

    def pushed(self, repository: str, name: str, tag: Tag) -> Tag:
        """Return a tag with the time of its push: what was restored, or copied, is younger.

        Args:
            tag: What it names, as it was written.
        """
        restored = self.restored.get(repository, {}).get(name)
        # What was written by then was written by the restore, or is a copy of that.
        written = max(restored.written, self.copied) if restored else 0
        if restored and restored.digest == tag.digest and tag.modified <= written:
            return tag._replace(pushed=restored.pushed, pinned=True)
        known = self.tags.get(repository, {}).get(name)
        if known and known.digest == tag.digest and tag.modified <= self.copied:
            return tag._replace(pushed=known.pushed)
        return tag

    def missing(self, walk: Walk) -> list[tuple[str, str]]:
        """Return the tags that were there in the last run and are not now, by repository."""
        return [
            (name, tag)
            for name, tags in self.tags.items()
            for tag in tags
            if name not in walk.repositories or tag not in walk.repositories[name].tags
        ]

    def record(self, walk: Walk) -> None:
        """Take over what all tags name now."""
        tags = {
            name: {tag: self._named(name, tag, x) for tag, x in repository.tags.items()}
            for name, repository in walk.repositories.items()
            if repository.tags
        }
        self.gone += [
            Gone(name, tag, x.digest, self.time, x.since, x.pushed, CLIENT, walk.now)
            for name, before in self.tags.items()
            for tag, x in before.items()
            if tag not in tags.get(name, {}) or tags[name][tag].digest != x.digest
        ]
        self.tags, self.time = tags, walk.now

    def expire(self, tags: Mapping[str, Iterable[str]], rules: Mapping[str, str]) -> None:
        """Note that tags were deleted by rules.

        Args:
            tags: The tags, by repository.
            rules: The rule's name, by repository.
        """
        for name, expired in tags.items():
            for tag in expired:
                digest, since, pushed = self.tags[name].pop(tag)
                by = f"rule {rules[name]}"
                self.gone.append(
                    Gone(name, tag, digest, self.time, since, pushed, by, noticed=self.time)
                )

    def _named(self, repository: str, name: str, tag: Tag) -> Named:
        known = self.tags.get(repository, {}).get(name)
        since = known.since if known and known.digest == tag.digest else tag.modified
        return Named(tag.digest, since, tag.pushed)


def load(objects: Objects) -> History:
    """Return what is known of tags; raises what :func:`.remembered.read` does."""

    def parse(values: dict[str, Any]) -> History:
        values["tags"] = {
            name: {tag: Named(sys.intern(x[0]), *x[1:]) for tag, x in named.items()}
            for name, named in values["tags"].items()
        }
        return History(**values)

    without = "images that are gone by now can be restored by their digests only"
    history = read(objects, KEY, parse, without) or History()
    history.restored = load_restored(objects)
    if history.place not in {"", objects.place}:
        history.copied = objects.now
    history.place = objects.place
    return history


def save(objects: Objects, history: History) -> None:
    """Write what is known of tags, and forget what was gone long ago."""
    values = {name: getattr(history, name) for name in ("time", "tags", "place", "copied")}
    if history.gone:
        today = f"{GONE}{day(history.time)}.json"
        write(objects, today, [*_read_day(objects, today), *history.gone])
    # What is gone is written before it is forgotten that it was there.
    write(objects, KEY, values)
    history.gone.clear()
    oldest = f"{GONE}{day(history.time - REMEMBER_DAYS * 86400)}.json"
    old = [entry.key for entry in objects.list(GONE) if entry.key < oldest]
    objects.each(objects.delete, old)


def load_gone(objects: Objects) -> list[Gone]:
    """Return all tags that are gone; raises what :func:`.remembered.read` does."""
    keys = [entry.key for entry in objects.list(GONE)]
    return [x for gone in objects.each(lambda key: _read_day(objects, key), keys) for x in gone]


def load_restored(objects: Objects) -> dict[str, dict[str, Restored]]:
    """Return what was brought back; raises what :func:`.remembered.read` does."""

    def parse(values: dict[str, dict[str, list[Any]]]) -> dict[str, dict[str, Restored]]:
        return {
            name: {tag: Restored(*x) for tag, x in tags.items()} for name, tags in values.items()
        }

    return read(objects, RESTORED, parse, "rules count what was restored as pushed then") or {}


def _read_day(objects: Objects, key: str) -> list[Gone]:
    without = "what was deleted on that day can be restored by its digest only"
    return read(objects, key, lambda values: [Gone(*x) for x in values], without) or []
