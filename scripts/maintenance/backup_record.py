"""What is known of the last good copy of the bucket: an object in the bucket, and in the copy.

Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

from typing import NamedTuple

from scripts.maintenance.keys import OWN
from scripts.maintenance.remembered import date, read
from scripts.maintenance.usage import formatted
from scripts.shared.objects import Objects

KEY = f"{OWN}backup.json"
"""In the bucket."""

COPY_KEY = "backup/last.json"
"""In the copy, where no registry looks."""

NONE_YET = "no good copy yet"


class Record(NamedTuple):
    """The last copy that was whole.

    Attributes:
        time: When the bucket was looked at that it is a copy of, in seconds since 1970.
        size: The bytes of its blobs.
        place: The URL of its folder.
        within: For how many seconds it may be the last one.
    """

    time: float
    tags: int
    blobs: int
    size: int
    place: str
    within: float

    def words(self, now: float) -> str:
        """Return it as text, with its age."""
        hours = max(0, now - self.time) / 3600
        age = f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} days"
        return (
            f"last good copy: {date(self.time)}, {age} ago, {self.tags} tags, "
            f"{formatted(self.size)}, in {self.place}"
        )


def load(objects: Objects, key: str = KEY) -> Record | None:
    """Return the record in a bucket, or a copy; raises what :func:`.remembered.read` does."""
    return read(objects, key, lambda values: Record(**values), "the next good copy counts then")
