"""What the collection remembers from run to run: one object in the bucket."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from scripts.maintenance.clock import Clock
from scripts.maintenance.keys import OWN
from scripts.maintenance.remembered import date, read, write
from scripts.shared.objects import Objects, StorageError

KEY = f"{OWN}collection.json"


class Untagged(NamedTuple):
    """A manifest that no tag holds.

    Attributes:
        since: When it was first seen so, or pushed for the last time.
        expired: Whether a rule has deleted its tag.
    """

    since: float
    expired: bool


@dataclass
class Unlinked:
    """A layer whose links were deleted.

    Attributes:
        repositories: Where they were.
        forgotten: When every pod of the registry had forgotten the layer; 0 if that is to be done.
    """

    repositories: list[str]
    forgotten: float = 0


class Sums(NamedTuple):
    """How much there is of something; blobs include manifests."""

    tags: int = 0
    manifests: int = 0
    blobs: int = 0
    size: int = 0


class Stopped(NamedTuple):
    """Why a run stopped until somebody confirms it.

    Attributes:
        sums: How much would have gone, or was gone.
        seconds: For how long a confirmation lasts.
    """

    sums: Sums
    why: str
    seconds: float


@dataclass
class State:
    """What is remembered.

    Attributes:
        place: The URL of the bucket's folder.
        collectors: When each stack's maintenance last looked at the bucket, by the stack's
            identity, with the name to show.
        untagged: The manifests that no tag holds, by repository.
        unnamed: Further manifests that nothing names, such as signatures, by repository.
        subjects: Tags named after a digest that was in their repository, by repository.
        unneeded: Since when each blob was seen that nothing needs.
        unlinked: The layers whose links were deleted.
        dropped: When links of manifests were deleted, by repository.
        retired: When tags were deleted by rules, by repository.
        seen: What there was in the last run.
        stopped: Why the last run stopped, if too much would have gone, or was; None if it did not.
        keep: For how many seconds what nothing needs is kept; 0 if nothing is deleted.
        damaged: Blobs whose content did not match their digest.
        etag: That of the object that this was read from or written to; empty if there is none.
    """

    place: str = ""
    collectors: dict[str, tuple[float, str]] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    untagged: dict[str, dict[str, Untagged]] = field(default_factory=dict)
    unnamed: dict[str, list[str]] = field(default_factory=dict)
    subjects: dict[str, list[str]] = field(default_factory=dict)
    unneeded: dict[str, float] = field(default_factory=dict)
    unlinked: dict[str, Unlinked] = field(default_factory=dict)
    dropped: dict[str, dict[str, float]] = field(default_factory=dict)
    retired: dict[str, dict[str, float]] = field(default_factory=dict)
    seen: Sums = field(default_factory=Sums)
    stopped: Stopped | None = None
    keep: float = 0
    damaged: list[str] = field(default_factory=list)
    etag: str = ""

    def has_unlinked(self, repository: str, layer: str) -> bool:
        """Return whether the collection has deleted a repository's link of a layer."""
        return layer in self.unlinked and repository in self.unlinked[layer].repositories

    def has_dropped(self, repository: str, manifest: str) -> bool:
        """Return whether the collection has deleted a repository's link of a manifest."""
        return manifest in self.dropped.get(repository, {})

    def others(self, stack: str, keep: float) -> list[str]:
        """Note that a stack looks after the bucket, and return which others did lately.

        Of their pods nobody knows what they remember, so nothing may be deleted beside them.

        Args:
            stack: The stack's identity and name, with a space between them.
            keep: For how many seconds another one counts.
        """
        identity, _, name = stack.partition(" ")
        now = self.clock.now
        seen = {x: (moment, x_name) for x, (moment, x_name) in self.collectors.items()}
        seen = {x: value for x, value in seen.items() if now - value[0] < keep}
        self.collectors = {**seen, identity: (now, name)}
        return [
            f"{other} looked after this bucket, too, on {date(moment)}; a bucket belongs to one "
            f"registry (docs/maintenance.md). If that one is gone or was this one, nothing is to "
            f"do: after {date(moment + keep)} this one goes on"
            for x, (moment, other) in seen.items()
            if x != identity
        ]


def load(objects: Objects) -> State:
    """Return what was remembered; raises what :func:`.remembered.read` does."""
    entry = objects.head(KEY)

    def parse(values: dict[str, Any]) -> State:
        values["clock"] = Clock(**values["clock"])
        values["clock"].skipped = [(moment, x) for moment, x in values["clock"].skipped]
        values["collectors"] = {
            x: (float(y[0]), str(y[1])) for x, y in values["collectors"].items()
        }
        values["untagged"] = {
            name: {digest: Untagged(*x) for digest, x in untagged.items()}
            for name, untagged in values["untagged"].items()
        }
        values["unlinked"] = {digest: Unlinked(**x) for digest, x in values["unlinked"].items()}
        values["seen"] = Sums(*values["seen"])
        if values["stopped"]:
            sums, why, seconds = values["stopped"]
            values["stopped"] = Stopped(Sums(*sums), why, seconds)
        return State(**values, etag=entry.etag if entry else "")

    state = read(objects, KEY, parse, "all waiting starts anew") or State()
    if state.place not in {"", objects.place}:
        # A copy, made by somebody: it was another registry's pods that were seen, and the time of
        # another place.
        state = State(etag=state.etag)
    state.place = objects.place
    return state


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
