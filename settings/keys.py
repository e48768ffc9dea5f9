"""Which keys there are, in all kinds of their sections."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from settings.commands import KeyPath, leaves
from settings.model import Settings
from settings.section import Section, kinds

_ANY = "<name>"
"""Stands for the names that a user chooses."""


def _walk(kind: Any, path: tuple[str, ...]) -> Iterator[tuple[KeyPath, FieldInfo]]:  # noqa: ANN401 - any annotation
    if isinstance(kind, type) and issubclass(kind, Section):
        for alias, field in kind.aliases().items():
            yield (*path, alias), field
            yield from _walk(field.annotation, (*path, alias))
    elif get_origin(kind) is dict:
        yield from _walk(get_args(kind)[1], (*path, _ANY))
    else:
        for part in get_args(kind):
            yield from _walk(part, path)


_FIELDS = list(_walk(Settings, ()))

KINDS: dict[str, tuple[str, dict[str, type[Section]]]] = {
    name: (str(field.discriminator), kinds(field))
    for name, field in Settings.aliases().items()
    if field.discriminator
}
"""The sections that have kinds: the key that tells the kind, and the kinds by what it holds."""


def below(path: Sequence[str | int]) -> list[str]:
    """Return the names of the keys in a section; none for anything else."""
    depth = len(path)
    names = [str(key[depth]) for key, _ in _FIELDS if len(key) > depth and _match(key, path)]
    return list(dict.fromkeys(names))


def is_known(path: KeyPath) -> bool:
    """Return whether there is a key, in any kind of its section."""
    return not {path[-1], _ANY}.isdisjoint(below(path[:-1]))


def nearest(path: KeyPath) -> KeyPath | None:
    """Return the known key that a path resembles most, if any."""
    # The name of a key without its section; if several sections have it, nobody knows which. But of
    # the storage and its copy, which have the same keys, the storage is meant.
    matches = {
        key for key, _ in _FIELDS if key[-1:] == path and _ANY not in key and key[0] != "backup"
    }
    if matches:
        return matches.pop() if len(matches) == 1 else None
    found: KeyPath = ()
    for part in path:
        names = {name.lower(): name for name in below(found)}
        # Below a list there are indexes only.
        if _ANY in names or (not names and isinstance(part, int)):
            found = (*found, part)
        elif close := difflib.get_close_matches(str(part).lower(), names, n=1):
            found = (*found, names[close[0]])
        else:
            return None
    return found


def of_word(path: KeyPath, word: str) -> dict[str, str]:
    """Return the key of a section that takes a word, with its value; none if none does."""
    return {
        str(key[-1]): choice
        for key, field in _FIELDS
        for choice in get_args(field.annotation)
        if _match(key, path) and len(key) == len(path) + 1
        if isinstance(choice, str) and choice.lower() == word.lower()
    }


def is_secret(path: KeyPath) -> bool:
    """Return whether a key, or the one that it is part of, holds a secret."""
    return any(
        field.repr is False and len(key) <= len(path) and _match(key, path)
        for key, field in _FIELDS
    )


def hidden(values: Mapping[str, object], encrypted: Iterable[str]) -> set[str]:
    """Return those of the encrypted top-level keys whose values must not be shown.

    The engine does not tell which key of an encrypted section holds the secret. Where one is
    set that always is a secret, it is taken to be that one.
    """
    return {
        key
        for key in encrypted
        if not any(is_secret(path) for path, _ in leaves((key,), values.get(key)))
    }


def of_location(location: Sequence[str | int]) -> KeyPath:
    """Return the key that pydantic locates.

    It adds the kind of a section to the section's name, marks bad names in a mapping, and calls
    a field whose default is refused by its name in Python.
    """
    first, *rest = [part for part in location if part != "[key]"]
    top = to_camel(str(first))
    if rest and top in KINDS:
        del rest[0]
    return (top, *rest)


def _match(key: KeyPath, path: Sequence[str | int]) -> bool:
    """Return whether a key and a path agree as far as the shorter of both goes."""
    return all(name in (_ANY, part) for name, part in zip(key, path, strict=False))
