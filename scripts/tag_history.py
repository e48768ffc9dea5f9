"""What tags name, and what they named before: one object in the bucket.

Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from scripts.objects import Objects, StorageError
from scripts.walk import Walk

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
    """

    repository: str
    tag: str
    digest: str
    seen: float


@dataclass
class TagHistory:
    """What is known of tags.

    Attributes:
        time: When that was, in seconds since 1970; 0 before the first time.
        tags: What each tag named then, by repository.
        gone: What tags named before.
    """

    time: float = 0
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    gone: list[Gone] = field(default_factory=list)

    def record(self, walk: Walk, now: float) -> None:
        """Take over what all tags name now.

        Args:
            walk: What is in the bucket.
            now: The time, in seconds since 1970.
        """
        tags = {name: dict(x.tags) for name, x in walk.repositories.items() if x.tags}
        self.gone = [x for x in self.gone if now - x.seen < REMEMBER_SECONDS]
        self.gone += [
            Gone(name, tag, digest, self.time)
            for name, before in self.tags.items()
            for tag, digest in before.items()
            if tags.get(name, {}).get(tag) != digest
        ]
        self.tags, self.time = tags, now


def load(objects: Objects) -> TagHistory:
    """Return what is known of tags.

    Raises:
        StorageError: If it cannot be read. It is not begun anew: that would forget what is gone.
    """
    content = objects.get(KEY)
    if content is None:
        return TagHistory()
    try:
        values = json.loads(content)
        return TagHistory(values["time"], values["tags"], [Gone(*x) for x in values["gone"]])
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{KEY} cannot be read ({error!r}); fix: delete this object; what tags named before "
            "is forgotten then, and images can be restored by their digests only"
        ) from error


def save(objects: Objects, history: TagHistory) -> None:
    """Write what is known of tags."""
    objects.put(KEY, json.dumps(asdict(history), separators=(",", ":")).encode())
