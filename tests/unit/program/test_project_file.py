"""The project file, the README and the example stack agree with the settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import yaml

from settings import Settings
from settings.section import Section
from tests.unit.program.conftest import PROJECT, ROOT
from tests.unit.settings.helpers import problems


def described(kind: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the keys of a section, in all its kinds, with their defaults as text."""
    if isinstance(kind, type) and issubclass(kind, Section):
        for name, field in kind.aliases().items():
            inner = list(described(field.annotation, f"{prefix}{name}."))
            default = "" if field.is_required() or field.default is None else field.default
            text = default if isinstance(default, str) else json.dumps(default, default=str)
            yield from inner or [(f"{prefix}{name}", text)]
    elif get_origin(kind) is dict:
        yield from described(get_args(kind)[1], f"{prefix}<name>.")
    elif not isinstance(kind, type):
        for part in get_args(kind):
            yield from described(part, prefix)


def test_the_project_file_and_the_models_name_the_same_keys_and_defaults() -> None:
    config = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert list(config) == list(Settings.aliases())
    for name, field in Settings.aliases().items():
        keys = list(described(field.annotation))
        for key, text in keys:
            assert key.removeprefix("<name>.") in config[name]["description"], f"{name}.{key}"
            assert text in config[name]["description"], f"the default of {name}.{key} is not"
        default = "" if field.is_required() else field.default
        assert config[name]["default"] == ({} if keys else default), name


def test_the_engine_checks_no_types_since_it_does_not_say_how_to_fix_them() -> None:
    config = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert {key for described in config.values() for key in described} == {"default", "description"}


def test_the_readme_lists_every_key_with_its_default() -> None:
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if line[:3] == "| `"]
    for key, text in described(Settings):
        assert any(f"`{key}`" in row and text in row for row in rows), f"{key}, {text}"


def test_the_example_stack_sets_nothing_so_whoever_forgets_the_hostname_is_told() -> None:
    stack = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text()) or {}
    config = stack.get("config", {})
    values = {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()}
    assert [problem.key for problem in problems(values)] == ["hostname"]
    assert stack == {}, "after `pulumi new` its keys would belong to another project"
