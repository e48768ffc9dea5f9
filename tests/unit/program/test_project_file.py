"""The project file, the README and the example stack agree with the settings."""

from __future__ import annotations

import json
from typing import get_args

import yaml
from pydantic.fields import FieldInfo

from settings import Settings
from settings.types import Section
from tests.unit.program.conftest import PROJECT, ROOT
from tests.unit.settings.test_settings import loaded


def test_the_project_file_and_the_models_name_the_same_keys_types_and_defaults() -> None:
    described = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert list(described) == [field.alias for field in Settings.model_fields.values()]
    for field in Settings.model_fields.values():
        told = described[field.alias]
        if isinstance(field.default, Section | dict):
            assert (told["type"], told["default"]) == ("object", {}), field.alias
            for name, text in leaves(field):
                assert name in told["description"], f"{field.alias}.{name} is not described"
                assert text in told["description"], f"{field.alias}.{name}'s default is not told"
        else:
            assert told["type"] == "string", field.alias
            assert told["default"] == ("" if field.is_required() else field.default), field.alias


def test_the_readme_lists_every_key_with_its_default() -> None:
    readme = (ROOT / "README.md").read_text()
    rows = [line for line in readme.splitlines() if line.startswith("| `")]
    for field in Settings.model_fields.values():
        for name, text in leaves(field) if isinstance(field.default, Section) else []:
            key = f"`{field.alias}.{name}`"
            assert any(key in row and text in row for row in rows), f"{key}, {text}"


def leaves(section: FieldInfo, prefix: str = "") -> list[tuple[str, str]]:
    """List the nested keys of a section in all its kinds, with their defaults as text."""
    found = []
    for kind in [section.annotation, *get_args(section.annotation)]:
        for field in kind.model_fields.values() if hasattr(kind, "model_fields") else ():
            if isinstance(field.default, Section):
                found += leaves(field, f"{prefix}{field.alias}.")
            else:
                default = "" if field.is_required() or field.default is None else field.default
                text = default if isinstance(default, str) else json.dumps(default)
                found.append((f"{prefix}{field.alias}", text))
    return found


def test_the_example_stack_is_taken_and_has_plain_values_only() -> None:
    stack = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())
    assert list(stack) == ["config"], "a shipped stack file must hold no salt and no secret"
    values = {key.removeprefix(f"{PROJECT}:"): value for key, value in stack["config"].items()}
    loaded(values)
