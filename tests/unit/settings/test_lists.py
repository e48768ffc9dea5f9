"""Lists: what is in one twice would make two objects, records or rules of one name."""

from __future__ import annotations

from typing import Any, get_origin

import pytest
from pydantic import AfterValidator

from settings import Settings, keys, section
from settings.commands import dotted
from tests.unit.settings.helpers import GOOD, loaded


@pytest.mark.parametrize(
    ("path", "beside", "values", "taken"),
    [
        ("pullSecrets.namespaces", {}, ["b", "a", "b"], ["b", "a"]),
        ("dns.addresses", {}, ["203.0.113.10", "203.0.113.10"], ["203.0.113.10"]),
        (
            "dns.addresses",
            {},
            ["2001:db8::1", "2001:DB8:0::1", "::ffff:203.0.113.10", "203.0.113.10"],
            ["2001:db8::1", "203.0.113.10"],
        ),
        ("webhooks.ci.actions", {"url": "https://a.b"}, ["pull", "push", "pull"], ["pull", "push"]),
        ("users.ci.push", {}, ["a", "b/*", "a"], ["a", "b/*"]),
        ("users.ci.pull", {}, ["a", "b/*", "a"], ["a", "b/*"]),
        ("immutable.r.repositories", {}, ["a", "b/*", "a"], ["a", "b/*"]),
        ("immutable.r.matching", {"repositories": ["*"]}, ["^v", "x", "^v"], ["^v", "x"]),
        ("retention.rules.r.repositories", {"last": 1}, ["a", "b/*", "a"], ["a", "b/*"]),
        ("retention.rules.r.matching", {"repositories": ["*"]}, ["^v", "x", "^v"], ["^v", "x"]),
    ],
)
def test_what_is_twice_in_a_list_is_taken_once(
    path: str, beside: dict[str, Any], values: list[str], taken: list[str]
) -> None:
    *parents, last = path.split(".")
    configured: dict[str, Any] = {**beside, last: values}
    for name in reversed(parents):
        configured = {name: configured}
    read: Any = loaded({**GOOD, **configured})[0].model_dump(by_alias=True)
    for name in path.split("."):
        read = read[name]
    assert read == taken


def test_no_list_is_left_out() -> None:
    lists = {
        dotted(path): field
        for path, field in keys._walk(Settings, ())
        if get_origin(field.annotation) is list
    }
    assert len(lists) == 9
    for path, field in lists.items():
        after = [x.func for x in field.metadata if isinstance(x, AfterValidator)]
        assert after == [section._once], path
