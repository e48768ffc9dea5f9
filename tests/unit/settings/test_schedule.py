"""When the maintenance runs: what Kubernetes takes, and what other crons take in the fix.

Expected is what `cron.ParseStandard` of robfig/cron 3.0.1 returns, which Kubernetes validates with.
"""

from __future__ import annotations

import pytest

from tests.unit.settings.helpers import GOOD, loaded, problems


@pytest.mark.parametrize(
    "schedule",
    [
        *("17 * * * *", "*/5 0-23/2 1,15 12 0-6", "0 0 31 1 6", "59 23 1 12 0", "? * ? * ?"),
        *("0 3 * * SUN", "0 0 1 JAN-mar/2 mon,Fri", "5/100 007 * * *", " 0  0\t* * * "),
        *("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"),
        *("@every 1h", "@every 90m", "@every 1h30m"),
    ],
)
def test_what_kubernetes_takes_is_taken(schedule: str) -> None:
    settings, _ = loaded({**GOOD, "maintenance": {"schedule": schedule}})
    assert settings.maintenance.schedule == schedule


@pytest.mark.parametrize(
    ("schedule", "right"),
    [
        *((x, "") for x in ("17 * * *", "17 * * * * *", "60 * * * *", "0 24 * * *", "0 0 0 * *")),
        *((x, "") for x in ("0 0 32 * *", "0 0 * 0 *", "0 0 * 13 *", "*/0 * * * *")),
        *((x, "") for x in ("1, * * * *", "1- * * * *", "1-2-3 * * * *", "-1 * * * *")),
        *((x, "") for x in ("MON * * * *", "0 0 * MON *", "0 0 * * JAN", "0 0 * * 7/2")),
        *((x, "") for x in ("@reboot", "weekdays", "@every", "@every 0h", "@every 5", "@daily x")),
        *((x, "") for x in ("TZ=UTC 0 0 * * *", "CRON_TZ=UTC 0 0 * * *", ".", "² * * * *")),
        # It takes these, by looking at the first character only.
        *((x, "") for x in ("*-24 * * * *", "?-x * * * *", "+1 * * * *")),
        ("hourly", "@hourly"),
        ("@Daily", "@daily"),
        ("'17 * * * *'", "'17 * * * *'"),
        ("0 3 * * 7", "'0 3 * * 0'"),
        ("0 3 * * 1,7", "'0 3 * * 1,0'"),
        *((x, "") for x in ("0 3 * * 5-7", "0 3 * * Sunday", "0 3 1 January *")),
    ],
)
def test_what_only_other_crons_take_is_refused_with_what_kubernetes_takes(
    schedule: str, right: str
) -> None:
    (problem,) = problems({**GOOD, "maintenance": {"schedule": schedule}})
    assert problem.key == "maintenance.schedule"
    assert problem.expected == (
        "expected minute, hour, day of month, month and day of week, such as 17 * * * *"
    )
    assert problem.fix == f"pulumi config set --path maintenance.schedule {right}".rstrip()


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("0 0 1 {} *", "jan feb mar apr may jun jul aug sep oct nov dec"),
        ("0 0 * * {}", "sun mon tue wed thu fri sat"),
    ],
)
def test_each_name_is_taken_in_its_field_only(field: str, names: str) -> None:
    for name in names.split():
        loaded({**GOOD, "maintenance": {"schedule": field.format(f"{name}-{name.upper()}")}})
        for wrong in (f"0{name}", f"{name}s", f"{name} {name}"):
            assert problems({**GOOD, "maintenance": {"schedule": field.format(wrong)}})
