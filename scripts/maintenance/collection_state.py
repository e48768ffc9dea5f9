"""What the collection remembers from run to run: one object in the bucket.

Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from scripts.maintenance.remembered import date, read, write
from scripts.maintenance.retention import Untagged
from scripts.shared.objects import Objects, StorageError

KEY = "maintenance/collection.json"
"""Beside the registry's own folder."""


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
        collectors: When each stack's maintenance last looked at the bucket, by its name.
        untagged: The manifests that no tag holds, by repository.
        unneeded: Since when each blob was seen that nothing needs.
        unlinked: The blobs whose links were deleted.
        retired: When tags were deleted by rules, by repository.
        postponed: Since when changes were put off, as the registry was busy; 0 if they were not.
        etag: That of the object that this was read from or written to; empty if there is none.
    """

    collectors: dict[str, float] = field(default_factory=dict)
    untagged: dict[str, dict[str, Untagged]] = field(default_factory=dict)
    unneeded: dict[str, float] = field(default_factory=dict)
    unlinked: dict[str, Unlinked] = field(default_factory=dict)
    retired: dict[str, dict[str, float]] = field(default_factory=dict)
    postponed: float = 0
    etag: str = ""

    def others(self, stack: str, now: float, keep: float) -> list[str]:
        """Note that a stack looks after the bucket, and return which others did lately.

        Of their pods nobody knows what they remember, so nothing may be deleted beside them.

        Args:
            stack: The stack.
            now: The time, in seconds since 1970.
            keep: For how many seconds another one counts.
        """
        seen = {x: moment for x, moment in self.collectors.items() if now - moment < keep}
        self.collectors = {**seen, stack: now}
        return [
            f"{other} looked after this bucket, too, on {date(moment)}; fix: destroy one of the "
            f"two stacks, and wait for {keep / 86400:.0f} days"
            for other, moment in seen.items()
            if other != stack
        ]


def load(objects: Objects) -> State:
    """Return what was remembered; raises what :func:`scripts.maintenance.remembered.read` does."""
    entry = objects.head(KEY)

    def parse(values: dict[str, Any]) -> State:
        values["untagged"] = {
            name: {digest: Untagged(*x) for digest, x in untagged.items()}
            for name, untagged in values["untagged"].items()
        }
        values["unlinked"] = {digest: Unlinked(**x) for digest, x in values["unlinked"].items()}
        for unlinked in values["unlinked"].values():
            unlinked.links = [(name, kind) for name, kind in unlinked.links]
        return State(**values, etag=entry.etag if entry else "")

    return read(objects, KEY, parse, "all waiting starts anew") or State()


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
    state.etag = write(objects, KEY, values)
