"""Properties of resources, of which a preview does not know all.

The SDK gives up on a whole policy at the first unknown property. Here a rule goes on without it:
what a preview cannot know is known in `up`, where the same rules run before each creation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pulumi_policy.proxy import UnknownValueError

UNKNOWN: Final = object()
"""What only `up` knows."""


def known(value: object) -> Any:
    """Return properties with :data:`UNKNOWN` for those that only `up` knows."""
    if isinstance(value, Mapping):
        return {key: _element(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_element(value, index) for index in range(len(value))]
    return value


def _element(container: Any, key: Any) -> Any:
    try:
        value = container[key]
    except UnknownValueError:
        return UNKNOWN
    return known(value)


def at(value: Any, *path: str) -> Any:
    """Return what is at a path; None if nothing is, :data:`UNKNOWN` if only `up` knows."""
    for name in path:
        if value is UNKNOWN:
            return value
        value = value.get(name) if isinstance(value, dict) else None
    return value


def elements(value: Any) -> list[Any]:
    """Return the elements of a list that are known; none if there is no list."""
    return [] if value is UNKNOWN else [x for x in value or [] if x is not UNKNOWN]


def keys(value: Any) -> list[str]:
    """Return the names of the properties of an object; none if there is no object."""
    return [] if value is UNKNOWN else list(value or {})


def fits(value: Any, *expected: object) -> bool:
    """Return whether a value is one of those expected, as far as that is known."""
    return value is UNKNOWN or value in expected


def texts(value: Any) -> Iterator[str]:
    """Yield all texts in properties, the names of properties among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
