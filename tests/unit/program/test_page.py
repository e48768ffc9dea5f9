"""The page for browsers: what it adds to the program."""

from __future__ import annotations

from components.reports import REPORTS
from tests.unit.program.conftest import CONFIG, Run

PAGE = {**CONFIG, "page": {"enabled": True}}


def test_no_update_takes_away_what_the_maintenance_has_written(run: Run) -> None:
    """With server-side apply, a field that the program sets once is the program's."""
    assert run(PAGE).inputs("reports").keys() == {"apiVersion", "kind", "metadata"}


def test_the_account_of_reports_may_change_one_config_map_and_nothing_else(run: Run) -> None:
    """Its token is where images are deleted from: it must open nothing more."""
    engine = run(PAGE)
    (role,) = engine.inputs("reports-role")["rules"]
    assert role == {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [REPORTS],
        "verbs": ["get", "patch"],
    }
    bound = [x for x in engine.resources.values() if x.type.endswith("RoleBinding")]
    assert len(bound) == 1


def test_without_the_maintenance_nobody_has_a_token(run: Run) -> None:
    engine = run({**PAGE, "maintenance": {"enabled": False}})
    assert "serviceAccountToken" not in str([x.inputs for x in engine.resources.values()])
