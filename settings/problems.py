"""What is wrong with a stack's configuration, in words that say how to mend it."""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import get_args, get_origin

import pulumi
from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from settings.types import FixableError, Section

_EXAMPLES = {
    "hostname": "registry.example.com",
    "endpoint": "https://s3.eu-central-1.amazonaws.com",
    "bucket": "my-images",
    "issuer": "letsencrypt",
    "mirrorPrefix": "example.com",
    "caFile": "/etc/ssl/private-ca.pem",
    "namespaces": "default",
    "push": "team-a/*",
    "pull": "*",
}
"""What the commands that mend say, for keys without a default."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        key: The configuration key, nested ones joined by dots.
        value: What it holds, as JSON; never a secret.
        expected: What is expected, or why it is refused.
        fix: The command that mends it.
    """

    key: str
    value: str
    expected: str
    fix: str


class SettingsError(pulumi.RunError):
    """The configuration cannot be used; the engine shows this without a traceback."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = [f"{count} in the configuration of this stack; nothing was changed.", ""]
        for problem in problems:
            lines += [
                f"  {problem.key} = {problem.value}",
                f"      {problem.expected}",
                f"      fix: {problem.fix}",
            ]
        super().__init__("\n".join(lines))
        self.problems = list(problems)


def problems_of(
    error: ValidationError, model: type[BaseModel], hidden: Collection[str]
) -> list[Problem]:
    """Say what pydantic found in terms of configuration keys.

    Args:
        error: What pydantic found.
        model: The model of the whole configuration.
        hidden: Top-level keys whose values must not be shown.
    """
    return [_problem(detail, model, hidden) for detail in error.errors()]


def _problem(detail: ErrorDetails, model: type[BaseModel], hidden: Collection[str]) -> Problem:
    unknown = detail["type"] == "extra_forbidden"
    path, section, described = _find(model, [str(part) for part in detail["loc"]], unknown=unknown)
    given: object = detail["input"]
    if detail["type"] == "union_tag_invalid" and isinstance(given, dict):
        # The key that tells which kind of section it is has a value that tells none.
        tag = str(detail["ctx"]["discriminator"]).strip("'")
        path, given, described = [*path, tag], given[tag], None
    secret = path[0] in hidden or path[-1] == "secretKey"
    value = "[secret]" if secret else json.dumps(given, default=str)
    if unknown:
        return _unknown(path, section, value, given if not secret else {})
    if detail["type"] == "missing":
        value, expected = "(not set)", "expected it to be set"
    else:
        expected = _expectation(detail)
    key = ".".join(path)
    inner = _sections(described) if described is not None else []
    if inner and not isinstance(given, dict):
        expected = f"expected an object of {', '.join(_keys(inner[0]))}"
        first, described = next(iter(inner[0].model_fields.items()))
        path = [*path, to_camel(first)]
    return Problem(key, value, expected, _fix(path, described, detail))


def _fix(path: list[str], described: FieldInfo | None, detail: ErrorDetails) -> str:
    if path[-1] == "clientCa":
        # As an argument, PEM's first hyphen would make it a flag.
        return f"pulumi config set --path {'.'.join(path)} < ca.pem"
    if path[-1] == "secretKey":
        return f"pulumi config set --path --secret {'.'.join(path)}"
    if detail["type"] == "union_tag_invalid":
        return set_command(path, str(detail["ctx"]["expected_tags"]).split("'")[1])
    error = detail.get("ctx", {}).get("error")
    if isinstance(error, FixableError):
        return set_command(path, error.right)
    if detail["type"] == "value_error" and isinstance(detail["input"], bool):
        return set_command(path, _text(not detail["input"]))
    if described is not None and get_origin(described.annotation) is list:
        # `pulumi config set` sets lists by element.
        first = [*path[:-1], f"{path[-1]}[0]"]
        remove = f"pulumi config rm --path {'.'.join(path)}"
        return f"{remove} && {set_command(first, _EXAMPLES[path[-1]])}"
    default = None if described is None or described.is_required() else described.default
    if default is None or default == detail["input"]:
        return set_command(path, _EXAMPLES.get(path[-1], "..."))
    return set_command(path, _text(default))


def _unknown(
    path: list[str], section: type[BaseModel] | None, value: str, given: object
) -> Problem:
    known = _keys(section) if section else []
    near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
    remove = f"pulumi config rm {'--path ' if len(path) > 1 else ''}{'.'.join(path)}"
    if not near:
        expected = f"unknown key; known are {', '.join(known)}"
        return Problem(".".join(path), value, expected, remove)
    right = [*path[:-1], near[0]]
    text = "..." if isinstance(given, dict | list) else _text(given)
    return Problem(
        ".".join(path),
        value,
        f"unknown key; the nearest known one is {'.'.join(right)}",
        f"{remove} && {set_command(right, text)}",
    )


def _expectation(detail: ErrorDetails) -> str:
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    if detail["type"] == "literal_error":
        return f"expected one of {detail['ctx']['expected']}"
    if detail["type"] == "union_tag_invalid":
        return f"expected one of {detail['ctx']['expected_tags']}"
    return "expected " + detail["msg"].removeprefix("Input should be ")


def _find(
    model: type[BaseModel], parts: list[str], *, unknown: bool
) -> tuple[list[str], type[BaseModel] | None, FieldInfo | None]:
    """Find the key's path, and the section and field that it leads to.

    pydantic puts the kind of a section into the path, which is no key, and names a field whose
    default is refused, instead of its key.
    """
    path: list[str] = []
    section: type[BaseModel] | None = model
    described: FieldInfo | None = None
    rest = list(parts)
    while rest:
        part = rest.pop(0)
        if described is not None:
            kinds = _sections(described)
            if len(kinds) > 1:
                section = next((kind for kind in kinds if part in _tags(kind)), None)
                part = rest.pop(0) if rest else part
            else:
                section = kinds[0] if kinds else None
        if section is None:
            # An element of a list: the key is the list's.
            break
        path.append(part if unknown and not rest else to_camel(part))
        described = next((x for x in section.model_fields.values() if x.alias == path[-1]), None)
    return path, section, described


def _tags(section: type[BaseModel]) -> set[object]:
    return {
        section.model_fields[key].default for key in ("kind", "mode") if key in section.model_fields
    }


def _sections(described: FieldInfo) -> list[type[BaseModel]]:
    kinds = [described.annotation, *get_args(described.annotation)]
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)]


def _keys(section: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in section.model_fields.items()]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def set_command(path: list[str], value: str) -> str:
    """Write the command that sets one key.

    Args:
        path: The key's parts.
        value: What to set it to.
    """
    nested = "--path " if len(path) > 1 else ""
    return f"pulumi config set {nested}{shlex.quote('.'.join(path))} {shlex.quote(value)}"
