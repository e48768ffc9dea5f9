"""The settings of the maintenance."""

from __future__ import annotations

import pytest

from tests.unit.settings.helpers import GOOD, loaded, problems


@pytest.mark.parametrize(
    "schedule", ["17 * * * *", "*/5 0-23/2 1,15 12 0-6", "0 0 31 1 6", "59 23 1 12 0"]
)
def test_a_schedule_has_five_fields(schedule: str) -> None:
    settings, _ = loaded({**GOOD, "maintenance": {"schedule": schedule}})
    assert settings.maintenance.schedule == schedule


@pytest.mark.parametrize(
    "schedule",
    [
        *("hourly", "@hourly", "17 * * *", "17 * * * * *", "60 * * * *", "0 24 * * *"),
        *("0 0 0 * *", "0 0 32 * *", "0 0 * 0 *", "0 0 * 13 *", "0 0 * * 7", "0 0 * * MON"),
        *("*/0 * * * *", "5-1 * * * *", "1, * * * *", "1- * * * *"),
    ],
)
def test_another_schedule_is_refused(schedule: str) -> None:
    (problem,) = problems({**GOOD, "maintenance": {"schedule": schedule}})
    assert problem.key == "maintenance.schedule"
    assert "such as 17 * * * *" in problem.expected
    assert problem.fix == "pulumi config set --path maintenance.schedule"
