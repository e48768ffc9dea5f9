"""Which tags and manifests stay: by the rules of the setting `retention`, else all of them."""

from __future__ import annotations

import fnmatch
import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scripts.maintenance.clock import DAY, Clock
from scripts.maintenance.images import holds_subject, reach, subject_of, tagged
from scripts.maintenance.repository import Repository, Tag
from scripts.maintenance.state import State, Untagged
from scripts.maintenance.walk import Walk


class Rule(NamedTuple):
    """Which tags of some repositories stay: those that any of its clauses keeps.

    Attributes:
        repositories: Names; ``*`` at the end of one stands for anything.
        last: How many images stay that were pushed last; those of one digest count once.
        days: For how many days after its push a tag stays.
    """

    name: str
    repositories: Sequence[str]
    last: int
    days: float
    matching: Sequence[str]

    def expired(self, tags: Mapping[str, Tag], orphans: Collection[str], clock: Clock) -> set[str]:
        """Return the tags of a repository that go.

        A tag that is named after a digest goes only if it is an orphan, and none goes that somebody
        has restored. Neither counts as one of the last.

        Args:
            orphans: Those whose subjects were there and are gone.
        """
        ordinary = {tag: x for tag, x in tags.items() if not (subject_of(tag) or x.pinned)}
        newest = sorted(ordinary.values(), key=lambda tag: tag.pushed, reverse=True)
        pushed: dict[str, float] = {}
        for tag in newest:
            pushed.setdefault(tag.digest, tag.pushed)
        # Storage tells whole seconds: of what was pushed in one, nobody knows which was the last.
        oldest = min([*pushed.values()][: self.last], default=math.inf)
        last = {digest for digest, x in pushed.items() if x >= oldest}
        old = {
            tag
            for tag, x in ordinary.items()
            if x.digest not in last and clock.age(x.pushed) >= self.days * DAY
        }
        old |= {tag for tag in orphans if not tags[tag].pinned}
        return {x for x in old if not any(re.search(pattern, x) for pattern in self.matching)}


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

    def rule(self, name: str) -> Rule | None:
        """Return the rule that decides about a repository; None if there is none."""
        matching = [
            (_specific(pattern), rule)
            for rule in self.rules
            for pattern in rule.repositories
            if fnmatch.fnmatchcase(name, pattern)
        ]
        return max(matching, key=lambda pair: pair[0])[1] if matching else None


def _specific(pattern: str) -> tuple[bool, int]:
    """Return what is greater for a pattern that matches less."""
    return not pattern.endswith("*"), len(pattern)


def parse_retention(text: str) -> Retention:
    """Return the rules that a component wrote as JSON."""
    values = json.loads(text)
    rules = [Rule(**rule) for rule in values["rules"]]
    return Retention(rules, values["untagged_days"])


@dataclass
class Decision:
    """What stays in one repository.

    Attributes:
        kept: The manifests that stay, each with the image that it belongs to.
        untagged: The manifests that no tag holds.
        subjects: The tags that are named after a digest that was in the repository.
        all: Whether all of it stays, since not all is understood, or there.
    """

    kept: dict[str, str] = field(default_factory=dict)
    expired: set[str] = field(default_factory=set)
    untagged: dict[str, Untagged] = field(default_factory=dict)
    subjects: list[str] = field(default_factory=list)
    all: bool = False


def decide(name: str, walk: Walk, retention: Retention, state: State, grace: float) -> Decision:
    """Decide what stays in one repository: everything for `grace` seconds after its push.

    The state says what an earlier run saw.
    """
    repository, clock = walk.repositories[name], state.clock
    subjects = [
        tag
        for tag in repository.tags
        if (subject := subject_of(tag))
        and (tag in state.subjects.get(name, ()) or holds_subject(repository, subject))
    ]
    rule = retention.rule(name)
    orphans = [tag for tag in subjects if _is_orphan(repository, tag, walk)]
    expired = {
        tag
        for tag in (rule.expired(repository.tags, orphans, clock) if rule else ())
        if clock.age(repository.tags[tag].modified) >= grace
    }
    roots = {x.digest: f"{name}:{t}" for t, x in repository.tags.items() if t not in expired}
    young = {
        digest: f"{name}@{digest}"
        for digest, pushed in repository.revisions.items()
        if clock.age(pushed) < grace
    }
    held = reach(repository, walk, {**young, **roots})
    # What came with an expired tag goes with it: children of an index, signatures.
    gone = {repository.tags[tag].digest: "" for tag in expired}
    followers = reach(repository, walk, gone, mentioned=False)
    unheld, before = {}, state.untagged.get(name, {})
    for digest, pushed in repository.revisions.items():
        if digest not in held:
            seen = before.get(digest, Untagged(clock.now, expired=False))
            # Pushed again by its digest, it waits anew.
            seen = seen if seen.since >= pushed else Untagged(pushed, expired=False)
            unheld[digest] = seen._replace(expired=seen.expired or digest in followers)
    waiting = {
        digest: f"{name}@{digest}"
        for digest, seen in unheld.items()
        if not seen.expired
        and (
            retention.untagged_days is None or clock.age(seen.since) < retention.untagged_days * DAY
        )
    }
    kept = reach(repository, walk, {**waiting, **young, **roots})
    return Decision(kept, expired, unheld, subjects)


def keep_all(name: str, walk: Walk, state: State) -> Decision:
    """Return that all of a repository stays, since not all of it is understood, or there."""
    kept = {digest: f"{name}@{digest}" for digest in walk.repositories[name].revisions}
    kept |= tagged(name, walk)
    untagged, subjects = state.untagged.get(name, {}), state.subjects.get(name, [])
    return Decision(kept, set(), dict(untagged), list(subjects), all=True)


def _is_orphan(repository: Repository, tag: str, walk: Walk) -> bool:
    """Return whether what a tag is named after is nowhere any more, and is not the tag's own."""
    subject = subject_of(tag)
    return not (
        repository.tags[tag].digest.startswith(subject)
        or holds_subject(repository, subject)
        or any(holds_subject(other, subject) for other in walk.repositories.values())
    )
