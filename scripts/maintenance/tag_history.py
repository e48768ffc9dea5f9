"""What tags name, and what they named before: one object in the bucket.

Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from scripts.maintenance.remembered import read, write
from scripts.maintenance.walk import Tag, Walk
from scripts.shared.objects import Objects

KEY = "maintenance/tags.json"
"""Beside the registry's own folder, which it lists."""

REMEMBER_SECONDS = 90 * 86400
"""How long it is known what a tag named that was deleted or overwritten."""


class Gone(NamedTuple):
    """A tag that named something else, or was there, when it was last seen.

    Attributes:
        repository: Its repository.
        tag: Its name.
        digest: What it named.
        seen: When it was last seen so, in seconds since 1970.
        since: When it was first pushed there, likewise; 0 if that was not remembered.
    """

    repository: str
    tag: str
    digest: str
    seen: float
    since: float = 0


class Named(NamedTuple):
    """What a tag names.

    Attributes:
        digest: The manifest's digest.
        since: When it was first pushed there, in seconds since 1970; 0 if that was not remembered.
        pushed: When it was last pushed there, likewise.
    """

    digest: str
    since: float = 0
    pushed: float = 0


@dataclass
class TagHistory:
    """What is known of tags.

    Attributes:
        time: When that was, in seconds since 1970; 0 before the first time.
        tags: What each tag named then, by repository.
        gone: What tags named before.
        place: The URL of the bucket's folder.
        copied: When it was first seen that all of this is a copy from another place, likewise; 0 if
            it is none.
    """

    time: float = 0
    tags: dict[str, dict[str, Named]] = field(default_factory=dict)
    gone: list[Gone] = field(default_factory=list)
    place: str = ""
    copied: float = 0

    def pushed(self, repository: str, tag: str, digest: str, modified: float) -> float:
        """Return when a tag was last pushed; copies of objects are younger than that.

        Args:
            repository: Its repository.
            tag: Its name.
            digest: What it names.
            modified: When it was last written.
        """
        known = self.tags.get(repository, {}).get(tag)
        if known and known.digest == digest and modified <= self.copied:
            return known.pushed
        return modified

    def record(self, walk: Walk, now: float) -> None:
        """Take over what all tags name now.

        Args:
            walk: What is in the bucket.
            now: The time, in seconds since 1970.
        """
        tags = {
            name: {tag: self._named(name, tag, x) for tag, x in repository.tags.items()}
            for name, repository in walk.repositories.items()
            if repository.tags
        }
        self.gone = [x for x in self.gone if now - x.seen < REMEMBER_SECONDS]
        self.gone += [
            Gone(name, tag, x.digest, self.time, x.since)
            for name, before in self.tags.items()
            for tag, x in before.items()
            if tag not in tags.get(name, {}) or tags[name][tag].digest != x.digest
        ]
        self.tags, self.time = tags, now

    def _named(self, repository: str, name: str, tag: Tag) -> Named:
        known = self.tags.get(repository, {}).get(name)
        since = known.since if known and known.digest == tag.digest else tag.pushed
        return Named(tag.digest, since, tag.pushed)


def load(objects: Objects) -> TagHistory:
    """Return what is known of tags; raises what :func:`.remembered.read` does."""

    def parse(values: dict[str, Any]) -> TagHistory:
        values["tags"] = {
            # Before the times of pushes were remembered, there was only the digest.
            name: {tag: Named(*([x] if isinstance(x, str) else x)) for tag, x in named.items()}
            for name, named in values["tags"].items()
        }
        values["gone"] = [Gone(*x) for x in values["gone"]]
        return TagHistory(**values)

    without = "images that are gone by now can be restored by their digests only"
    history = read(objects, KEY, parse, without) or TagHistory()
    if history.place not in {"", objects.place}:
        history.copied = objects.now
    history.place = objects.place
    return history


def save(objects: Objects, history: TagHistory) -> None:
    """Write what is known of tags."""
    write(objects, KEY, asdict(history))
