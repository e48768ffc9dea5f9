"""What is wrong with a stack's configuration, and the commands that fix it."""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import pulumi
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from settings import keys
from settings.commands import Ask, KeyPath, dotted, fix_command, leaves, secret_command
from settings.section import FixableError

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")

SECRET = "[secret]"  # noqa: S105 - what is shown instead of one


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        key: The configuration key, nested ones joined by dots.
        value: The value as JSON; never a secret.
        expected: What is expected, or why the value is refused.
        fix: The command that fixes it.
    """

    key: str
    value: str
    expected: str
    fix: str


class SettingsError(pulumi.RunError):
    """The configuration cannot be used. The SDK shows this without a traceback."""

    def __init__(self, *problems: Problem) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = [f"{count} in the configuration of this stack; nothing was changed.", ""]
        for problem in problems:
            first, *more = problem.fix.split("\n")
            lines += [
                f"  {problem.key} = {problem.value}",
                f"      {problem.expected}",
                f"      fix: {first}",
                *(f"           {line}" for line in more),
            ]
        super().__init__("\n".join(lines))
        self.problems = list(problems)


ENDS_PROGRAM = ContextVar("ENDS_PROGRAM", default=False)
"""Whether a refusal may end the process: it may be that of another program's component."""


@contextmanager
def explained_errors() -> Iterator[None]:
    """End the program after a refusal, without the engine's own "an unhandled error occurred".

    In the host of a component the refusal is raised, as an error that the SDK shows without a
    traceback.

    The engine adds that to every error but those that are said to be explained, by the code 32:
    https://github.com/pulumi/pulumi/blob/v3.259.0/sdk/python/cmd/pulumi-language-python-exec
    """
    try:
        yield
    except SettingsError as error:
        if not ENDS_PROGRAM.get():
            raise
        pulumi.log.error(str(error))
        sys.exit(32)


def explained(function: Callable[_Args, _Result]) -> Callable[_Args, _Result]:
    """Return a function for `Output.apply`, whose errors nobody can catch, that explains them."""
    return explained_errors()(function)


def shown(value: object) -> str:
    """Return a value as errors show it."""
    if value in (None, ""):
        return "(not set)"
    if isinstance(value, dict):
        # Its keys may hold secrets.
        return "{...}"
    text = json.dumps(value, ensure_ascii=False)
    if "PRIVATE KEY" in text:
        return SECRET
    # https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1
    text = re.sub("//[^/@]*@", "//...@", text)
    return text if len(text) <= 200 else f"{text[:200]}..."


def problems_of(
    error: ValidationError, values: Mapping[str, Any], hidden: set[str]
) -> list[Problem]:
    """Return what pydantic refuses of some values, in terms of configuration keys.

    Values of the hidden ones among the top-level keys are not shown.
    """
    problems = []
    renamed: dict[KeyPath, KeyPath] = {}
    for detail in error.errors():
        path = keys.of_location(detail["loc"])
        refused = _explained(detail, path)
        path = refused.key or path
        value = _configured(values, path)
        if detail["loc"][-1] == "[key]":
            # A name is refused, not what is configured under it.
            renamed[path] = new = (*path[:-1], str(refused.right))
            taken = _configured(values, new) is not None
            refused.fixes = {path: None} if taken else {**dict(leaves(new, value)), path: None}
        # The commands are run in order, so later ones find the new name.
        for old, new in renamed.items():
            if path != old == path[: len(old)]:
                path = new + path[len(old) :]
        secret = path[0] in hidden or keys.is_secret(path)
        commands = [fix_command(*fix) for fix in (refused.fixes or {path: refused.right}).items()]
        problems.append(
            Problem(
                dotted(path),
                SECRET if secret else shown(value),
                str(refused),
                secret_command(path) if secret else " && ".join(commands),
            )
        )
    return problems


def _explained(detail: ErrorDetails, path: KeyPath) -> FixableError:
    """Return what pydantic refuses as an error that knows the right value, if there is one."""
    context = detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            error = context["error"]
            return error if isinstance(error, FixableError) else FixableError(str(error))
        case "missing":
            return FixableError("expected it to be set")
        case "extra_forbidden":
            tag, kinds = keys.KINDS[str(path[0])]
            names = [name for name, kind in kinds.items() if path[1] in kind.aliases()]
            return FixableError(f"expected with {tag} {' or '.join(names)} only", None)
        case "literal_error":
            return _one_of(context["expected"], detail["input"])
        case "union_tag_invalid":
            tag = context["discriminator"].strip("'")
            return _one_of(context["expected_tags"], detail["input"][tag], (*path, tag))
        case "greater_than_equal" | "less_than_equal":
            bound = context.get("ge") or context["le"]
            return FixableError(
                detail["msg"].replace("Input should be", "expected a number"), bound
            )
        case _:
            return FixableError(detail["msg"].replace("Input should be", "expected"), None)


def _one_of(choices: str, value: object, key: KeyPath = ()) -> FixableError:
    names = {name.lower(): name for name in re.findall("'([^']+)'", choices)}
    close = difflib.get_close_matches(str(value).lower(), names, n=1)
    right = names[close[0]] if close else Ask.VALUE
    return FixableError(f"expected one of {', '.join(names.values())}", right, key=key)


def _configured(values: Mapping[str, Any], path: KeyPath) -> object:
    """Return the value at a path, None if there is none."""
    node: Any = values
    for part in path:
        try:
            node = node[part]
        except (LookupError, TypeError):
            return None
    return node
