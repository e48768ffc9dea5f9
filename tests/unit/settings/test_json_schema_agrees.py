"""The JSON schema refuses what the program refuses, and nothing else."""

from __future__ import annotations

import copy
import re
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from settings import keys
from settings.commands import KeyPath
from tests.unit.program.conftest import PROJECT
from tests.unit.settings.helpers import GOOD, nested
from tests.unit.settings.pulumi_config import Secret
from tests.unit.settings.stack_file import (
    GOOD_ONES,
    VALIDATOR,
    Values,
    accepts,
    expectations,
    file,
)
from tests.unit.settings.test_values import REFUSED


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("digitalocean:tokn", "x"),
        ("digitalocean:token", "plain"),
        ("digitalocean:httpRetryMax", {}),
        ("kubernetes:kubeconfig", "apiVersion: v1\nkind: Config"),
        ("kubernetes:enableServerSideApply", True),
        ("kubernetes:suppressHelmHookWarnings", 2),
    ],
)
def test_a_providers_key_that_is_refused_is_refused_by_editors(key: str, value: Any) -> None:
    assert expectations({**GOOD, key: value})
    assert not accepts({**GOOD, key: value})


def test_what_the_engine_and_an_environment_configure_is_taken() -> None:
    assert accepts({**GOOD, "pulumi:tags": {"team": "a"}})
    assert accepts({**GOOD, "kubernetes:namespace": "not the registry's"})
    alone = {"config": {f"{PROJECT}:rotation": 2}}
    assert not VALIDATOR.is_valid(alone), "the hostname is required"
    assert VALIDATOR.is_valid(alone | {"environment": ["prod"]}), "the environment may have it"


INSTEAD: tuple[Any, ...] = (
    None,
    "",
    True,
    5,
    0,
    1.5,
    "Some text!",
    [],
    {},
    ["x"],
    [5],
    [{}],
    {"zzz": "y"},
)


def changed() -> Iterator[Values]:
    """Yield the good configurations with one part changed, removed or added, in all ways."""
    done = set()
    for values in GOOD_ONES.values():
        for path in [path for path in _paths(values, ()) if ":" not in str(path[0])]:
            place = (path, str(_at(values, path[:-1])) if len(path) > 1 else "")
            if place not in done:
                done.add(place)
                yield from _changes(values, path)


def _changes(values: Values, path: KeyPath) -> Iterator[Values]:
    before = _at(values, path)
    for value in INSTEAD:
        # The engine makes text of a number at the top; as text it keeps its digits.
        if not (len(path) == 1 and isinstance(value, float)):
            yield _changed(values, path, value)
    yield _changed(values, path, ...)
    if isinstance(before, dict):
        # The program is not told which of a section's values are encrypted.
        yield _changed(values, (*path, "zzz"), Secret("x") if keys.is_secret(path) else "x")
    if isinstance(before, Secret) and keys.is_secret(path):
        yield _changed(values, path, str(before))


def _paths(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    items = value.items() if isinstance(value, dict) else []
    for name, inner in items:
        yield (*path, name)
        yield from _paths(inner, (*path, name))


def _at(values: Any, path: KeyPath) -> Any:
    for part in path:
        values = values[part]
    return values


def _changed(values: Values, path: KeyPath, value: Any) -> Values:
    new = copy.deepcopy(values)
    parent = _at(new, path[:-1])
    if value is ...:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return new


TYPES = re.compile(
    r"unknown key|expected (it to be set|an object|text|a list|a valid|one of|true or false|"
    r"a whole number$|with |.*, the (kind|mode) with )"
)
"""How the program refuses what is of a wrong type, unknown, missing, or of another kind."""


def test_the_schema_takes_all_that_the_program_takes_and_refuses_types_as_it_does() -> None:
    count = {True: 0, False: 0}
    for values in changed():
        refused = expectations(values)
        taken = accepts(values)
        count[taken] += 1
        if not refused:
            assert taken, f"a false alarm: {values}, {[*VALIDATOR.iter_errors(file(values))]}"
        if any(TYPES.match(expected) for expected in refused):
            assert not taken, f"{values}: {refused}"
    assert min(count.values()) > 200, count


def patterns(values: Values) -> Iterator[str]:
    """Yield what editors say of text that does not match."""
    errors = deque(VALIDATOR.iter_errors(file(values)))
    while errors:
        error = errors.popleft()
        errors.extend(error.context)
        if error.validator == "pattern":
            yield str(error.schema["patternErrorMessage"])


def test_text_that_the_program_refuses_is_refused_by_editors_in_the_same_words() -> None:
    count = 0
    for path, value, expected, _ in REFUSED:
        # How new an image is, and what cron takes, are no patterns.
        if path in ("registry.image", "registry.proxyImage", "scan.image", "maintenance.schedule"):
            continue
        if "Python 3.9" in expected:
            continue
        values = {**GOOD, **nested(path, value)}
        assert not accepts(values), f"{path}: {value}"
        for message in patterns(values):
            assert message in expectations(values)
            count += 1
    assert count > 50


HOOK = {"url": "https://ci.example.com"}


@pytest.mark.parametrize(
    "values",
    [
        {"users": {"C I": {"pull": ["*"]}}},
        {"webhooks": {"My_Hook": HOOK}},
        {"webhooks": {"ci": HOOK | {"headers": {"no name": Secret("x")}}}},
        {"retention": {"rules": {"My Rule": {"repositories": ["*"], "last": 3}}}},
    ],
)
def test_a_name_that_is_refused_is_refused_by_editors_in_the_same_words(values: Values) -> None:
    assert [*patterns({**GOOD, **values})] == expectations({**GOOD, **values})
