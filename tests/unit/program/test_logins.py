"""Logins that end are told of in time."""

from __future__ import annotations

import pytest

from components.monitoring.alerts import alert_groups
from preflight.logins import ending
from settings.schema import UserSettings

DAY = 24 * 60 * 60


def user(until: str | None) -> UserSettings:
    return UserSettings.model_validate({"pull": ["*"], "until": until})


@pytest.mark.parametrize(
    ("seconds_before", "state"),
    [
        (14 * DAY, None),
        (14 * DAY - 1, "this login ends soon"),
        (1, "this login ends soon"),
        (0, "this login has ended"),
        (-400 * DAY, "this login has ended"),
    ],
)
def test_a_login_is_told_of_from_two_weeks_before_its_end_on(
    seconds_before: int, state: str | None
) -> None:
    ends = user("2028-02-29").ends
    assert ends
    told = list(ending({"ci": user("2028-02-29"), "other": user(None)}, ends - seconds_before))
    assert told == [
        f"users.ci.until = 2028-02-29: {state}; fix: pulumi config set --path users.ci.until, "
        "or pulumi config rm --path users.ci"
    ] * (state is not None)


def test_there_is_an_alert_for_logins_that_end_only_where_some_do() -> None:
    def names(ends: dict[str, int]) -> set[str]:
        return {rule["alert"] for group in alert_groups("r", ends) for rule in group["rules"]}

    assert names({"ci": 1}) - names({}) == {"RegistryLoginEnds"}
