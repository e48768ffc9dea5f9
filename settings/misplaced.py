"""Configured values that are not where the program reads them: misspelled, misformed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from settings import keys
from settings.commands import KeyPath, dotted, fix_command, leaves, secret_command, set_command
from settings.problems import SECRET, Problem, shown


class Misplaced:
    """Puts values where they were meant to be, so that they are checked there too.

    Args:
        texts: The configuration by top-level key, as the engine passes it.
        values: What it stands for; changed.
        encrypted: The top-level keys that hold secrets; those that get one are added.
    """

    def __init__(
        self, texts: Mapping[str, str], values: dict[str, Any], encrypted: set[str]
    ) -> None:
        self._texts = texts
        self._values = values
        self._encrypted = encrypted
        self._hidden = keys.hidden(values, encrypted)

    def problems(self) -> list[Problem]:
        """Put all values in place, and return what was wrong."""
        return [*self._quoted(), *self._words(), *self._misplaced(), *self._kinds()]

    def _quoted(self) -> Iterator[Problem]:
        """Find sections that were set as the text of an object.

        The first command that sets a key of theirs by --path would remove all others. The engine
        itself writes objects without spaces, and sorted by key.
        """
        for name, value in self._values.items():
            if not isinstance(value, dict):
                continue
            words = re.sub(r'"(\\.|[^"\\])*"', "", self._texts[name])
            if list(value) == sorted(value) and not re.search(r"\s", words):
                continue
            commands = [
                secret_command(path)
                if name in self._hidden or keys.is_secret(path)
                else set_command(path, content)
                for path, content in leaves((name,), value)
            ]
            yield Problem(
                name,
                shown(value),
                "expected an object, but this is the text of one",
                " && ".join([fix_command((name,), None), *commands]),
            )

    def _words(self) -> Iterator[Problem]:
        """Find sections that are no objects; a word that only one key takes is meant for it."""
        for path, value in list(self._walk(())):
            names = keys.below(path)
            if not names or isinstance(value, dict) or value in (None, ""):
                continue
            right = keys.of_word(path, str(value))
            self._at(path[:-1])[path[-1]] = right
            yield Problem(
                dotted(path),
                SECRET if path[0] in self._hidden else shown(value),
                f"expected an object of {', '.join(names)}",
                fix_command(path, right or None),
            )

    def _misplaced(self) -> Iterator[Problem]:
        """Find unknown keys, and move their values to those that they were meant for."""
        for path, value in list(self._walk(())):
            if not keys.is_known(path):
                yield self._move(path, value)

    def _kinds(self) -> Iterator[Problem]:
        """Find sections without a kind that have keys of another kind than the first."""
        for name, (tag, kinds) in keys.KINDS.items():
            section = self._values.get(name) or {}
            first, *others = kinds
            strange = section.keys() - kinds[first].aliases().keys()
            kind = next((x for x in others if strange <= kinds[x].aliases().keys()), None)
            if strange and kind and section.get(tag) is None:
                section[tag] = kind
                yield Problem(
                    dotted((name, tag)),
                    shown(None),
                    f"expected {kind}, the {tag} with {', '.join(sorted(strange))}",
                    set_command((name, tag), kind),
                )

    def _walk(self, path: KeyPath) -> Iterator[tuple[KeyPath, object]]:
        """Yield all keys with their values, but those inside of unknown keys."""
        for name, value in self._at(path).items():
            yield (*path, name), value
            if isinstance(value, dict) and keys.below((*path, name)):
                yield from self._walk((*path, name))

    def _at(self, path: KeyPath) -> dict[str | int, Any]:
        node: dict[Any, Any] = self._values
        for part in path:
            node = node[part]
        return node

    def _move(self, path: KeyPath, value: object) -> Problem:
        moves = [
            (source, target, content)
            for source, content in leaves(path, value)
            if (target := keys.nearest(_wanted(source)))
        ]
        secret = path[0] in self._hidden or any(keys.is_secret(x) for _, x, _ in moves)
        commands = []
        for source, target, content in moves:
            if place := self._put(target, content):
                commands.append(
                    secret_command(place, source) if secret else set_command(place, content)
                )
            if secret:
                self._encrypted.add(str(target[0]))
        del self._at(path[:-1])[path[-1]]
        if moves:
            reason = f"{_reason(moves[0][0])} {', '.join(dotted(x) for _, x, _ in moves)}"
        else:
            reason = f"unknown key; known are {', '.join(keys.below(path[:-1]))}"
        # What resembles no key may be a secret under a wrong name.
        text = shown(value) if moves else "[not shown]"
        return Problem(
            dotted(path),
            SECRET if secret else text,
            reason,
            " && ".join([*commands, fix_command(path, None)]),
        )

    def _put(self, path: KeyPath, content: object) -> KeyPath | None:
        """Add an element to a list, or set a key unless it is set; return the key that was set."""
        node: Any = self._values
        for part, following in itertools.pairwise(path):
            node = node.setdefault(part, [] if isinstance(following, int) else {})
        if isinstance(node, list):
            node.append(content)
            return (*path[:-1], len(node) - 1)
        if not isinstance(node, dict) or path[-1] in node:
            return None
        node[path[-1]] = content
        return path


def _wanted(source: KeyPath) -> KeyPath:
    """Return a key as it would be with --path."""
    parts = re.findall(r'[^.\[\]"]+', str(source[0]))
    return (*(int(part) if part.isdigit() else part for part in parts), *source[1:])


def _reason(source: KeyPath) -> str:
    if _wanted(source) != source:
        return "expected it to be set with --path, as"
    return "unknown key; the nearest known one is"
