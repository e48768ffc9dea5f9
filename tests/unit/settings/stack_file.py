"""Configurations as a stack's file has them, by the JSON schema and by the program."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft7Validator

from reference import json_schema
from settings import SettingsError, keys
from settings.commands import KeyPath
from settings.credentials import SECRETS
from tests.unit.program.conftest import PROJECT
from tests.unit.program.modes import MODES
from tests.unit.settings.helpers import GOOD, S3, load_stack
from tests.unit.settings.pulumi_config import PulumiConfig, Secret

SCHEMA = json_schema.document()
VALIDATOR = Draft7Validator(SCHEMA)

Values = dict[Any, Any]


def encrypted(values: Values, path: KeyPath = ()) -> Values:
    """Return a configuration in which all that must be secret is."""
    return {
        name: encrypted(value, (*path, name))
        if isinstance(value, dict)
        else Secret(value)
        if isinstance(value, str) and (keys.is_secret((*path, name)) or _providers_secret(name))
        else value
        for name, value in values.items()
    }


def _providers_secret(name: object) -> bool:
    return name in (*SECRETS, "kubernetes:kubeconfig")


def written(value: Any) -> Any:
    """Return a value as a stack's file has it."""
    match value:
        case Secret():
            return {"secure": "v1:aaaa:bbbb"}
        case dict():
            return {name: written(inner) for name, inner in value.items()}
        case list():
            return [written(inner) for inner in value]
    return value


def file(values: Values, project: str = PROJECT) -> Values:
    config = {x if ":" in x else f"{project}:{x}": value for x, value in written(values).items()}
    return {"encryptionsalt": "v1:", "config": config}


def accepts(values: Values) -> bool:
    return VALIDATOR.is_valid(file(values))


def expectations(values: Values) -> list[str]:
    """Return what the program expects instead; nothing if it takes the configuration."""
    try:
        load_stack(PulumiConfig(values))
    except SettingsError as error:
        return [problem.expected for problem in error.problems]
    return []


GOOD_ONES = {
    name: encrypted({**GOOD, **mode})
    for name, mode in {
        "least": {},
        **MODES,
        "every-kind-of-nothing": {
            "storage": None,
            "registry": {"resources": "", "replicas": None, "image": None},
            "users": "",
            "retention": {"rules": "", "untaggedDays": None},
            "dns": {"zone": None, "addresses": None},
            "tls": {"mode": None, "clientCa": None},
        },
        "numbers-as-text": {
            "rotation": "2",
            "registry": {"replicas": "2", "redirect": "Yes", "resources": {"cpu": 1}},
            "storage": {**S3, "bucket": 2024, "accessKey": 12345},
        },
        "encrypted": {
            "namespace": Secret("images"),
            "storage": {"region": Secret("fra1"), "namePrefix": Secret("x")},
            "pullSecrets": {"namespaces": [Secret("a")]},
            "kubernetes:kubeconfig": "/home/me/.kube/config",
        },
    }.items()
}
