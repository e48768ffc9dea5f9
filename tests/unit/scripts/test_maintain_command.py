"""The maintenance does what its arguments say, and nothing where one is missing."""

from __future__ import annotations

import base64
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from scripts.maintenance import maintain
from scripts.maintenance.clock import DAY
from scripts.maintenance.maintain import Task
from scripts.maintenance.plan import Times
from scripts.maintenance.retention import Retention, Rule
from scripts.shared import reports
from scripts.shared.objects import StorageError

RULES = """{"rules": [{"name": "last", "repositories": ["*"], "last": 1, "days": 2,
                       "matching": ["v.*"]}], "untagged_days": 3}"""


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Have files of a stack and of a password, and return what is required."""
    (tmp_path / "stack").write_text("1 one")
    (tmp_path / "password").write_text("secret")
    monkeypatch.setattr(maintain, "add_arguments", lambda _: None)
    monkeypatch.setattr(maintain, "objects_of", lambda args: nullcontext(args.pods))
    return {
        "--stack-file": str(tmp_path / "stack"),
        "--pods": "registry:5000",
        "--username": "maintenance",
        "--password-file": str(tmp_path / "password"),
        "--keep-days": "7",
        "--retention": RULES,
    }


def command(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, str], *more: str, ends: object = True
) -> tuple[int, list[tuple[object, Task]]]:
    """Return the exit status, and what would be done where."""
    done: list[tuple[object, Task]] = []

    class Run:
        def __init__(self, objects: object, task: Task) -> None:
            done.append((objects, task))

        report = staticmethod(lambda *_: {})

        def run(self) -> bool:
            if isinstance(ends, Exception):
                raise ends
            return bool(ends)

    monkeypatch.setattr(maintain, "Maintenance", Run)
    monkeypatch.setattr(
        sys, "argv", ["maintain", *(x for y in arguments.items() for x in y), *more]
    )
    return maintain.main(), done


@pytest.mark.parametrize(
    ("more", "dry_run", "collect"),
    [((), False, False), (("--dry-run",), True, False), (("--collect",), False, True)],
)
def test_only_what_is_asked_for_is_done(
    monkeypatch: pytest.MonkeyPatch,
    arguments: dict[str, str],
    more: tuple[str, ...],
    dry_run: bool,
    collect: bool,
) -> None:
    status, done = command(monkeypatch, arguments, *more)
    ((objects, task),) = done
    assert (status, objects) == (0, "registry:5000")
    login = base64.b64encode(b"maintenance:secret").decode()
    assert vars(task.pods) == {
        "_host": "registry",
        "_port": "5000",
        "_headers": {"Authorization": f"Basic {login}"},
    }
    rule = Rule("last", ["*"], last=1, days=2, matching=["v.*"])
    assert task.stack == "1 one"
    assert task.retention == Retention([rule], untagged_days=3)
    assert (task.dry_run, task.collect) == (dry_run, collect)
    assert task.times == Times(keep=7 * DAY)


@pytest.mark.parametrize(
    "missing",
    ["--stack-file", "--pods", "--username", "--password-file", "--keep-days", "--retention"],
)
def test_without_one_of_its_arguments_it_does_nothing(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: dict[str, str],
    missing: str,
) -> None:
    del arguments[missing]
    with pytest.raises(SystemExit) as ended:
        command(monkeypatch, arguments)
    assert ended.value.code == 2
    assert f"the following arguments are required: {missing}\n" in capsys.readouterr().err


@pytest.mark.parametrize("ends", [False, StorageError("the storage fails"), OSError("the disk")])
def test_what_went_wrong_fails_the_job(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: dict[str, str],
    ends: object,
) -> None:
    assert command(monkeypatch, arguments, ends=ends)[0] == 1
    assert capsys.readouterr().out == (f"FAILED: {ends}\n" if ends else "")


@pytest.mark.parametrize("ends", [True, False])
def test_what_users_see_is_written_last_and_decides_nothing(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, str], ends: bool
) -> None:
    """Also of a run that has found lost images: it has looked all the same."""
    told: list[str] = []
    monkeypatch.setattr(reports, "publish", lambda args, kind, _: told.append(args.reports + kind))
    status, _ = command(monkeypatch, arguments, "--reports=registry/x", ends=ends)
    assert (status, told) == (not ends, ["registry/xusage"])


def test_of_a_run_that_has_seen_nothing_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, str]
) -> None:
    """Users would take what it does not know for what is not there."""
    monkeypatch.setattr(reports, "publish", lambda *_: pytest.fail("told"))
    assert command(monkeypatch, arguments, ends=StorageError("no list"))[0] == 1
