"""What is wrong with a stack's configuration, in words that say how to mend it."""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import get_args

import pulumi
from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails


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
    path = [str(part) for part in detail["loc"]]
    if detail["type"] != "extra_forbidden":
        # pydantic names a field whose default is refused, not its key.
        path = [to_camel(part) for part in path]
    key = ".".join(path)
    section, described = _find(model, path)
    missing = detail["type"] == "missing"
    value = "(not set)" if missing else json.dumps(detail["input"], default=str)
    if path[0] in hidden:
        value = "[secret]"
    if detail["type"] == "extra_forbidden":
        return _unknown(path, section, value, detail["input"], secret=path[0] in hidden)
    example = "..."
    if described is not None and described.is_required():
        example = "registry.example.com"
    elif described is not None and not isinstance(described.default, BaseModel):
        example = _text(described.default)
    expected = "expected it to be set" if missing else _expectation(detail)
    inner = _section(described) if described is not None else None
    if inner is not None:
        first, inner_field = next(iter(inner.model_fields.items()))
        path, example = [*path, inner_field.alias or first], _text(inner_field.default)
        expected = f"expected an object of {', '.join(_keys(inner))}"
    elif isinstance(detail["input"], bool) and detail["type"] == "value_error":
        example = _text(not detail["input"])
    return Problem(key, value, expected, set_command(path, example))


def _unknown(
    path: list[str], section: type[BaseModel] | None, value: str, given: object, *, secret: bool
) -> Problem:
    known = _keys(section) if section else []
    near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
    remove = f"pulumi config rm {'--path ' if len(path) > 1 else ''}{'.'.join(path)}"
    if not near:
        return Problem(".".join(path), value, f"unknown key; known are {', '.join(known)}", remove)
    right = [*path[:-1], near[0]]
    text = "..." if secret or isinstance(given, dict | list) else _text(given)
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
    return "expected " + detail["msg"].removeprefix("Input should be ")


def _find(
    model: type[BaseModel], path: list[str]
) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """Find the section and the field that a path of keys leads to."""
    section: type[BaseModel] | None = model
    described: FieldInfo | None = None
    for part in path:
        if described is not None:
            section = _section(described)
        fields = section.model_fields.values() if section else ()
        described = next((field for field in fields if field.alias == part), None)
    return section, described


def _keys(section: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in section.model_fields.items()]


def _section(described: FieldInfo) -> type[BaseModel] | None:
    kinds = [described.annotation, *get_args(described.annotation)]
    return next(
        (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def set_command(path: list[str], value: str) -> str:
    """Write the command that sets one key.

    Args:
        path: The key's parts.
        value: What to set it to.
    """
    nested = "--path " if len(path) > 1 else ""
    return f"pulumi config set {nested}{'.'.join(path)} {shlex.quote(value)}"
