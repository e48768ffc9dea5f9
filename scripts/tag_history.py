"""What tags name, and what they named before: one object in the bucket.

Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from scripts.objects import Objects
from scripts.remembered import read, write
from scripts.walk import Tag, Walk

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
        pushed: When it was pushed, likewise; 0 if that was not remembered.
    """

    repository: str
    tag: str
    digest: str
    seen: float
    pushed: float = 0


@dataclass
class TagHistory:
    """What is known of tags.

    Attributes:
        time: When that was, in seconds since 1970; 0 before the first time.
        tags: What each tag named then, and since when, by repository.
        gone: What tags named before.
    """

    time: float = 0
    tags: dict[str, dict[str, Tag]] = field(default_factory=dict)
    gone: list[Gone] = field(default_factory=list)

    def record(self, walk: Walk, now: float) -> None:
        """Take over what all tags name now.

        Args:
            walk: What is in the bucket.
            now: The time, in seconds since 1970.
        """
        tags = {name: dict(x.tags) for name, x in walk.repositories.items() if x.tags}
        self.gone = [x for x in self.gone if now - x.seen < REMEMBER_SECONDS]
        for name, before in self.tags.items():
            for tag, (digest, pushed) in before.items():
                current = tags.get(name, {}).get(tag)
                if current and current.digest == digest:
                    # Pushed again, or copied to another bucket.
                    tags[name][tag] = Tag(digest, pushed)
                else:
                    self.gone.append(Gone(name, tag, digest, self.time, pushed))
        self.tags, self.time = tags, now


def load(objects: Objects) -> TagHistory:
    """Return what is known of tags; raises what :func:`scripts.remembered.read` does."""

    def parse(values: dict[str, Any]) -> TagHistory:
        tags = {
            # Before the time of the push was remembered, there was only the digest.
            name: {tag: Tag(x, 0) if isinstance(x, str) else Tag(*x) for tag, x in named.items()}
            for name, named in values["tags"].items()
        }
        return TagHistory(values["time"], tags, [Gone(*x) for x in values["gone"]])

    without = "images that are gone by now can be restored by their digests only"
    return read(objects, KEY, parse, without) or TagHistory()


def save(objects: Objects, history: TagHistory) -> None:
    """Write what is known of tags."""
    write(objects, KEY, asdict(history))
