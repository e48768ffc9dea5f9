"""The settings of what looks after the storage: when, what is deleted, and what stays."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from settings.schedule import Schedule
from settings.section import NAMED, FixableError, Flag, ListOf, Positive, Section
from settings.tag_pattern import TagPattern
from settings.types import Label, RepositoryPattern, some_repositories


class MaintenanceSettings(Section):
    """The CronJob that looks after the storage."""

    enabled: Flag = True
    """Show the storage's usage, [find lost images](docs/maintenance.md) and remember what tags
    name."""
    schedule: Schedule = "17 * * * *"
    """When, in UTC, as a [cron
    schedule](https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax)
    such as `0 3 * * *` or `@daily`."""
    collect: Flag = True
    """[Delete what no image has needed](docs/maintenance.md#collection) for `keepDays`; otherwise
    the CronJob only looks."""
    keep_days: Annotated[Positive, Field(le=365)] = 7
    """For how many days what no image needs is kept, and can be restored."""


class RetentionRule(Section):
    """Which tags of some repositories stay: those that any clause keeps."""

    repositories: ListOf[RepositoryPattern]
    """The repositories: `team/app`, all below `team/*`, or `*` for all. With one of the next three:
    without one, no tag would stay."""
    last: Positive | None = None
    """How many images stay that were pushed last."""
    days: Positive | None = None
    """For how many days after its push a tag stays."""
    matching: ListOf[TagPattern] = []  # noqa: RUF012 - pydantic copies it
    """Regular expressions of tags that stay, such as `^v[0-9]`, with anything before or after the
    match; `.*` keeps all."""

    _name_some = field_validator("repositories")(some_repositories)

    @model_validator(mode="after")
    def _keep_some(self) -> Self:
        if not (self.last or self.days or self.matching):
            raise ValueError("expected last, days or matching: without one, no tag would stay")
        return self


class RetentionSettings(Section):
    """Which tags and manifests stay."""

    dry_run: Flag = True
    """Only show what the [rules](docs/maintenance.md#retention) and `untaggedDays` would delete."""
    untagged_days: Positive | None = None
    """For how many days manifests stay that no tag holds; forever, if it is not set."""
    rules: Annotated[dict[Label, RetentionRule], NAMED] = {}  # noqa: RUF012 - pydantic copies it
    """Rules by name. The one with the most specific pattern for a repository decides; without one,
    all its tags stay."""

    @field_validator("rules")
    @classmethod
    def _tell_apart(cls, rules: dict[str, RetentionRule]) -> dict[str, RetentionRule]:
        first: dict[str, str] = {}
        for name, rule in rules.items():
            for pattern in rule.repositories:
                if (other := first.setdefault(pattern, name)) != name:
                    raise FixableError(
                        f"expected no pattern that is in retention.rules.{other}, too: {pattern}",
                        [x for x in rule.repositories if x != pattern] or None,
                        key=("retention", "rules", name, "repositories"),
                    )
        return rules
