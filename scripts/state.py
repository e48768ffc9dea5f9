"""What the maintenance remembers from run to run: one object in the bucket.

Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from scripts.objects import Objects, StorageError
from scripts.retention import Untagged
from scripts.walk import Walk

KEY = "collection/state.json"

RECORD_SECONDS = 90 * 86400
"""How long it is known what a tag named that is gone."""


class Gone(NamedTuple):
    """A tag that named something else, or was there, when it was last seen.

    Attributes:
        repository: Its repository.
        tag: Its name.
        digest: What it named.
        seen: When it was last seen so.
    """

    repository: str
    tag: str
    digest: str
    seen: float


@dataclass
class Unlinked:
    """A blob whose links were deleted.

    Attributes:
        links: Where they were: repositories, and their kinds.
        forgotten: When every pod of the registry had forgotten the blob; 0 if that is to be done.
    """

    links: list[tuple[str, str]]
    forgotten: float = 0


@dataclass
class State:
    """What is remembered.

    Attributes:
        time: When it was written; 0 before the first time.
        tags: What each tag named, by repository.
        gone: What tags named before.
        untagged: The manifests that no tag holds, by repository.
        unneeded: Since when each blob was seen that nothing needs.
        unlinked: The blobs whose links were deleted.
        retired: When tags were deleted by rules, by repository.
        postponed: Since when changes were put off, as the registry was busy; 0 if they were not.
        etag: That of the object that this was read from or written to; empty if there is none.
    """

    time: float = 0
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    gone: list[Gone] = field(default_factory=list)
    untagged: dict[str, dict[str, Untagged]] = field(default_factory=dict)
    unneeded: dict[str, float] = field(default_factory=dict)
    unlinked: dict[str, Unlinked] = field(default_factory=dict)
    retired: dict[str, dict[str, float]] = field(default_factory=dict)
    postponed: float = 0
    etag: str = ""

    def record_tags(self, walk: Walk) -> None:
        """Remember what all tags name, and what they named before."""
        tags = {
            name: {tag: x.digest for tag, x in repository.tags.items()}
            for name, repository in walk.repositories.items()
        }
        self.gone = [x for x in self.gone if walk.now - x.seen < RECORD_SECONDS]
        self.gone += [
            Gone(name, tag, digest, self.time)
            for name, before in self.tags.items()
            for tag, digest in before.items()
            if tags.get(name, {}).get(tag) != digest
        ]
        self.tags, self.time = tags, walk.now


def load(objects: Objects) -> State:
    """Return what was remembered.

    Raises:
        StorageError: If it cannot be read; without it, it would not be known what is unneeded.
    """
    entry, content = objects.head(KEY), objects.get(KEY)
    if entry is None or content is None:
        return State()
    try:
        values = json.loads(content)
        values["gone"] = [Gone(*x) for x in values["gone"]]
        values["untagged"] = {
            name: {digest: Untagged(*x) for digest, x in untagged.items()}
            for name, untagged in values["untagged"].items()
        }
        values["unlinked"] = {digest: Unlinked(**x) for digest, x in values["unlinked"].items()}
        for unlinked in values["unlinked"].values():
            unlinked.links = [(name, kind) for name, kind in unlinked.links]
        return State(**values, etag=entry.etag)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{KEY} cannot be read ({error!r}); fix: delete this object, and all waiting "
            "starts anew; tags that were deleted before can then be restored by digest only"
        ) from error


def save(objects: Objects, state: State) -> None:
    """Write what is to be remembered.

    Raises:
        StorageError: If somebody else has written it since: what that run did would be forgotten.
    """
    entry = objects.head(KEY)
    if (entry.etag if entry else "") != state.etag:
        raise StorageError(f"{KEY} has changed: another run of the maintenance is at work")
    values = asdict(state)
    del values["etag"]
    state.etag = objects.put(KEY, json.dumps(values, separators=(",", ":")).encode())
