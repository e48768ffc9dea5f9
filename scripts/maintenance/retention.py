"""Which tags and manifests stay: by the rules of the setting `retention`, else all of them.

Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scripts.maintenance.images import REFERRER, reach
from scripts.maintenance.walk import Tag, Walk

DAY = 86400


class Rule(NamedTuple):
    """Which tags of some repositories stay: those that any of its clauses keeps.

    Attributes:
        repositories: Names; ``*`` at the end of one stands for anything.
        last: How many images stay that were pushed last; those of one digest count once.
        days: For how many days after its push a tag stays.
        matching: Regular expressions of tags that stay.
    """

    repositories: Sequence[str]
    last: int
    days: float
    matching: Sequence[str]


@dataclass(frozen=True)
class Retention:
    """The rules.

    Attributes:
        rules: That with the most specific pattern for a repository decides; without one all its
            tags stay.
        untagged_days: For how many days manifests stay that no tag holds; None for ever.
    """

    rules: Sequence[Rule] = ()
    untagged_days: float | None = None

    def _rule(self, name: str) -> Rule | None:
        matching = [
            (_specific(pattern), rule)
            for rule in self.rules
            for pattern in rule.repositories
            if fnmatch.fnmatchcase(name, pattern)
        ]
        return max(matching, key=lambda pair: pair[0])[1] if matching else None

    def expired(self, name: str, tags: Mapping[str, Tag], now: float) -> set[str]:
        """Return the tags of a repository that go; those that attach a manifest to another stay."""
        if (rule := self._rule(name)) is None:
            return set()
        ordinary = {tag: tags[tag] for tag in tags if not REFERRER.fullmatch(tag)}
        newest = sorted(ordinary.values(), key=lambda tag: tag.pushed, reverse=True)
        last = list(dict.fromkeys(tag.digest for tag in newest))[: rule.last]
        return {
            name
            for name, tag in ordinary.items()
            if tag.digest not in last
            and now - tag.pushed >= rule.days * DAY
            and not any(re.search(pattern, name) for pattern in rule.matching)
        }


def _specific(pattern: str) -> tuple[bool, int]:
    """Return what is greater for a pattern that matches less."""
    return not pattern.endswith("*"), len(pattern)


def parse_retention(text: str) -> Retention:
    """Return the rules that a component wrote as JSON."""
    values = json.loads(text)
    rules = [Rule(**rule) for rule in values["rules"]]
    return Retention(rules, values["untagged_days"])


class Untagged(NamedTuple):
    """A manifest that no tag holds.

    Attributes:
        since: When it was first seen so, or pushed for the last time.
        expired: Whether a rule has deleted its tag.
    """

    since: float
    expired: bool


@dataclass
class Decision:
    """What stays in one repository.

    Attributes:
        kept: The manifests that stay, each with the image that it belongs to.
        expired: The tags that go.
        untagged: The manifests that no tag holds.
    """

    kept: dict[str, str] = field(default_factory=dict)
    expired: set[str] = field(default_factory=set)
    untagged: dict[str, Untagged] = field(default_factory=dict)


def decide(
    name: str, walk: Walk, retention: Retention, untagged: Mapping[str, Untagged], grace: float
) -> Decision:
    """Decide what stays in one repository.

    Args:
        name: The repository.
        walk: What is in the bucket.
        retention: The rules.
        untagged: The manifests that no tag held in the run before.
        grace: For how many seconds after its push everything stays.
    """
    repository = walk.repositories[name]
    recent = {tag for tag, x in repository.tags.items() if walk.now - x.modified < grace}
    expired = retention.expired(name, repository.tags, walk.now) - recent
    ordinary = {tag: x for tag, x in repository.tags.items() if not REFERRER.fullmatch(tag)}
    roots = {x.digest: f"{name}:{tag}" for tag, x in ordinary.items() if tag not in expired}
    young = {
        digest: f"{name}@{digest}"
        for digest, pushed in repository.revisions.items()
        if walk.now - pushed < grace
    }
    held = reach(repository, walk, {**young, **roots})
    # What came with an expired tag goes with it: children of an index, signatures.
    followers = reach(repository, walk, {ordinary[tag].digest: "" for tag in expired})
    unheld = {}
    for digest, pushed in repository.revisions.items():
        if digest not in held:
            seen = untagged.get(digest, Untagged(walk.now, expired=False))
            # Pushed again by its digest, it waits anew.
            seen = seen if seen.since >= pushed else Untagged(pushed, expired=False)
            unheld[digest] = seen._replace(expired=seen.expired or digest in followers)
    waiting = {
        digest: f"{name}@{digest}"
        for digest, seen in unheld.items()
        if not seen.expired
        and (
            retention.untagged_days is None or walk.now - seen.since < retention.untagged_days * DAY
        )
    }
    kept = reach(repository, walk, {**waiting, **young, **roots})
    expired |= {
        tag
        for tag, x in repository.tags.items()
        if x.digest in repository.revisions and x.digest not in kept
    }
    return Decision(kept, expired, unheld)
