"""Load settings as the program does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from settings import Settings, SettingsError, load
from settings.credentials import CloudAccess
from settings.problems import Problem
from tests.unit.program.conftest import PROJECT
from tests.unit.settings.pulumi_config import PulumiConfig, Secret

GOOD = {"hostname": "registry.example.com"}
TOKEN = {"DIGITALOCEAN_TOKEN": "token"}
S3 = {
    "kind": "s3",
    "bucket": "images",
    "endpoint": "https://s3.test",
    "accessKey": "AKIA",
    "secretKey": Secret("hunter2"),
}


def load_stack(
    config: PulumiConfig, environment: Mapping[str, str] | None = None
) -> tuple[Settings, CloudAccess]:
    environment = TOKEN if environment is None else environment
    return load(config.texts(), config.secret_keys(), environment, PROJECT)


def loaded(
    values: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> tuple[Settings, CloudAccess]:
    return load_stack(PulumiConfig(values), environment)


def refusal(
    values: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> SettingsError:
    with pytest.raises(SettingsError) as refused:
        loaded(values, environment)
    return refused.value


def problems(
    values: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> list[Problem]:
    return refusal(values, environment).problems


def nested(path: str, value: object) -> dict[str, Any]:
    """Return the object in which a value has a dotted path."""
    for part in reversed(path.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def listed(configurations: Iterable[Mapping[str, Any]]) -> str:
    """Return all problems of several configurations, one a line."""
    return "".join(
        f"{problem.key} = {problem.value}: {problem.expected}; fix: {problem.fix}\n"
        for values in configurations
        for problem in problems(values)
    )
