"""The settings of what looks after the storage: when, what is deleted, and what stays."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from settings.schedule import Schedule
from settings.section import NAMED, FixableError, Flag, ListOf, Positive, Section
from settings.tag_pattern import TagPattern
from settings.types import Label, RepositoryPattern


class MaintenanceSettings(Section):
    """The CronJob that looks after the storage.

    Attributes:
        enabled: Whether there is one.
        schedule: When it runs, in UTC:
            https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
        collect: Whether it deletes what no image needs.
        keep_days: For how many days that is kept, and can be restored.
    """

    enabled: Flag = True
    schedule: Schedule = "17 * * * *"
    collect: Flag = True
    keep_days: Annotated[Positive, Field(le=365)] = 7


class RetentionRule(Section):
    """Which tags of some repositories stay: those that any clause keeps.

    Attributes:
        repositories: The repositories.
        last: How many images stay that were pushed last; None if that keeps none.
        days: For how many days after its push a tag stays; None if that keeps none.
        matching: Regular expressions of tags that stay, whatever precedes or follows the match.
    """

    repositories: ListOf[RepositoryPattern]
    last: Positive | None = None
    days: Positive | None = None
    matching: ListOf[TagPattern] = []  # noqa: RUF012 - pydantic copies it

    @field_validator("repositories")
    @classmethod
    def _name_some(cls, repositories: list[str]) -> list[str]:
        if not repositories:
            raise FixableError("expected at least one repository, or * for all", ["*"])
        return repositories

    @model_validator(mode="after")
    def _keep_some(self) -> Self:
        if not (self.last or self.days or self.matching):
            raise ValueError("expected last, days or matching: without one, no tag would stay")
        return self


class RetentionSettings(Section):
    """Which tags and manifests stay.

    Attributes:
        dry_run: Whether the maintenance only shows which tags the rules would delete.
        untagged_days: For how many days manifests stay that no tag holds; None for ever.
        rules: The rules by name. The one with the most specific pattern decides; without one, all
            tags stay.
    """

    dry_run: Flag = True
    untagged_days: Positive | None = None
    rules: Annotated[dict[Label, RetentionRule], NAMED] = {}  # noqa: RUF012 - pydantic copies it

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
