"""What is in one repository: layers, manifests, tags, uploads."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from typing import NamedTuple

from scripts.shared.listing import Entry

_TAG = re.compile(r"([^/]+)/(current|index)/(?:(\w+)/([0-9a-f]+)/)?link")


class Tag(NamedTuple):
    """What a tag names.

    Attributes:
        modified: When it was last written, by a push, a restore, or a copy to this bucket. A push
            writes what the tag has ever named, then the tag.
        pinned: Whether somebody has restored it, so that no rule deletes it.
    """

    digest: str
    pushed: float
    modified: float
    pinned: bool = False


@dataclass
class Repository:
    """One repository.

    Attributes:
        revisions: Those of its manifests, with the time of their last push.
        dead_tags: Tags that name nothing now, with the last manifest that each of them named.
        past: The keys of what tags named before, with the tag and when they were written.
        uploads: The keys of uploads, and the time of the last one, by upload.
        started: The uploads that can be resumed, with the time when they began. The registry itself
            deletes them in the end.
        odd: What is not understood, in words.
    """

    layers: set[str] = field(default_factory=set)
    revisions: dict[str, float] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)
    dead_tags: dict[str, Tag] = field(default_factory=dict)
    past: dict[str, tuple[str, float]] = field(default_factory=dict)
    uploads: dict[str, tuple[list[str], float]] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)


def add_tag_link(
    repository: Repository, rest: str, entry: Entry, currents: dict[str, Entry]
) -> None:
    """Note a link of a tag: to the manifest that it names, in `currents`, or to one that it named.

    Args:
        rest: What of its key follows the folder of tags.
        currents: The links to what tags name now.
    """
    if not (match := _TAG.fullmatch(rest)):
        return
    tag, kind, algorithm, value = match.groups()
    if kind == "current":
        currents[tag] = entry
        return
    repository.past[entry.key] = tag, entry.modified
    if tag not in repository.dead_tags or repository.dead_tags[tag].modified < entry.modified:
        digest = sys.intern(f"{algorithm}:{value}")
        repository.dead_tags[tag] = Tag(digest, entry.modified, entry.modified)


def add_upload(repository: Repository, rest: str, entry: Entry) -> None:
    """Note an object of an upload; `rest` is what of its key follows the folder of uploads."""
    upload, _, file = rest.partition("/")
    keys, latest = repository.uploads.get(upload, ([], 0.0))
    keys.append(entry.key)
    repository.uploads[upload] = keys, max(latest, entry.modified)
    if file == "startedat":
        repository.started[upload] = entry.modified
