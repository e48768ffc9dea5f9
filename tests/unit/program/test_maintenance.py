"""Whose bucket it is: what the maintenance signs its work with, and the rules that it gets."""

from __future__ import annotations

from typing import Any

from components.maintenance import retention_rules, stack_name
from scripts.maintenance.retention import parse_retention
from scripts.maintenance.state import State
from settings.maintenance import RetentionSettings
from tests.unit.program.conftest import CLUSTER_UID, CONFIG, Run

DAY = 86400


def signature(run: Run, config: dict[str, Any] = CONFIG, **more: Any) -> str:
    engine = run(config, **more)
    return str(engine.inputs("maintenance-storage")["stringData"]["stack"])


def strangers(one: str, other: str) -> list[str]:
    """Return what one maintenance is told after the other has looked after the bucket."""
    state = State()
    state.others(other, 7 * DAY)
    return state.others(one, 7 * DAY)


def test_a_new_hostname_and_a_new_http_secret_do_not_make_a_stranger_of_a_stack(run: Run) -> None:
    # It would delete nothing for a week, and say that another registry has its bucket.
    before = signature(run)
    renamed = signature(run, {"hostname": "images.example.com"})
    assert renamed != before
    assert renamed.endswith(" images.example.com"), "people are shown what they know"
    assert not strangers(renamed, before)
    state = {"credentials-http-secret": {"hex": "00", "base64": "AA=="}}
    assert signature(run, state=state) == before


def test_the_same_state_in_another_cluster_is_a_stranger(run: Run) -> None:
    # The maintenance of one cluster cannot make the registry's pods of the other forget a layer.
    here = signature(run)
    assert CLUSTER_UID in here
    (message,) = strangers(here.replace(CLUSTER_UID, "another"), here)
    assert "registry.example.com looked after this bucket, too" in message
    assert "destroy" not in message, "it may be the same registry a week ago"


def test_another_stack_with_the_same_hostname_is_a_stranger() -> None:
    assert strangers(
        stack_name("one", "uid", "example.com"), stack_name("two", "uid", "example.com")
    )


def test_the_identity_is_there_without_the_maintenance(run: Run) -> None:
    # Made anew when the maintenance is switched on again, it would be another one.
    engine = run({**CONFIG, "maintenance": {"enabled": False}})
    assert engine.inputs("stack-identity") == run().inputs("stack-identity")


def test_what_is_kept_is_as_long_as_it_is_set(run: Run) -> None:
    """One of the settings in the other's place would end copies that can still be wanted back."""
    config = {"maintenance": {"keepDays": 30}, "retention": {"untaggedDays": 14}}
    spec = run({**CONFIG, **config}).inputs("maintenance-cron-job")["spec"]
    (container,) = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    (retention,) = (x for x in container["command"] if x.startswith("--retention="))
    assert "--keep-days=30" in container["command"]
    assert parse_retention(retention.partition("=")[2]).untagged_days == 14


def test_the_rules_are_read_as_they_are_set() -> None:
    settings = RetentionSettings.model_validate(
        {"untaggedDays": 14, "rules": {"team": {"repositories": ["team/*"], "last": 3}}}
    )
    retention = parse_retention(retention_rules(settings))
    assert retention.untagged_days == 14
    rule = retention.rule("team/app")
    assert rule is not None
    assert (rule.name, rule.last, rule.days, rule.matching) == ("team", 3, 0, [])
