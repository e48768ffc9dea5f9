"""The project file and the example stack leave all checks to the settings."""

from __future__ import annotations

import yaml

from tests.unit.program.conftest import PROJECT, ROOT
from tests.unit.settings.helpers import problems


def test_the_engine_checks_no_types_since_it_does_not_say_how_to_fix_them() -> None:
    config = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert {key for described in config.values() for key in described} == {"default", "description"}


def test_the_example_stack_sets_nothing_so_whoever_forgets_the_hostname_is_told() -> None:
    stack = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text()) or {}
    config = stack.get("config", {})
    values = {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()}
    assert [problem.key for problem in problems(values)] == ["hostname"]
    assert stack == {}, "after `pulumi new` its keys would belong to another project"
