"""A stand-in for ``pulumi config``, so that tests can run the commands that errors print.

tests/sandbox/test_settings.py runs the same commands with the real one.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from tests.unit.program.conftest import PROJECT


class Secret(str):
    """A value that is encrypted."""

    __slots__ = ()


class PulumiConfig:
    """One stack's configuration.

    Args:
        values: The values by key, nested as in the stack's file.
        typed: What the user types where a command asks for a value, in this order.
        files: The contents of files by path.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        typed: tuple[str, ...] = (),
        files: Mapping[str, str] | None = None,
    ) -> None:
        self.values: dict[str, Any] = copy.deepcopy(dict(values))
        self.typed = list(typed)
        self._files = files or {}

    def texts(self) -> dict[str, str]:
        """Return the configuration as the engine passes it to a program."""
        return {
            key if ":" in key else f"{PROJECT}:{key}": ""
            if value is None
            else value
            if isinstance(value, str)
            else json.dumps(value, separators=(",", ":"), sort_keys=True)
            for key, value in self.values.items()
        }

    def secret_keys(self) -> frozenset[str]:
        """Return the top-level keys that hold secrets, as the engine passes them."""
        return frozenset(
            key if ":" in key else f"{PROJECT}:{key}"
            for key, value in self.values.items()
            if _holds_secret(value)
        )

    def run(self, command: str) -> None:
        """Run what an error prints."""
        for step in command.split(" && "):
            stdin = None
            for part in step.split(" | "):
                stdin = self._run(shlex.split(part), stdin)

    def _run(self, words: list[str], stdin: str | None) -> str | None:
        pulumi, config, verb, *rest = words
        assert (pulumi, config) == ("pulumi", "config")
        flags = {word for word in rest if re.match("--(path|secret|plaintext)$", word)}
        rest = [word for word in rest if word not in flags]
        if "--type" in rest:
            index = rest.index("--type")
            flags.add(rest[index + 1])
            del rest[index : index + 2]
        key, *rest = rest
        path: list[Any] = _parse(key) if "--path" in flags else [key]
        if verb == "get":
            return _text(self._get(path))
        if verb == "rm":
            self._remove(path)
            return None
        assert verb == "set"
        if rest[:1] == ["<"]:
            value = self._files[rest[1]].rstrip("\n")
        elif rest:
            assert not rest[0].startswith("-") or rest[0] == "--", "it would be taken for a flag"
            (value,) = rest[1:] if rest[0] == "--" else rest
        else:
            value = self.typed.pop(0) if stdin is None else stdin
        self._set(path, _converted(value, flags, nested=len(path) > 1))
        return None

    def _get(self, path: list[Any]) -> Any:
        node: Any = self.values
        for part in path:
            node = node[part]
        return node

    def _set(self, path: list[Any], value: object) -> None:
        node: Any = self.values
        for part, following in itertools.pairwise(path):
            if isinstance(following, int):
                node.setdefault(part, [])
                assert isinstance(node[part], list), "expected an array"
            elif not isinstance(node.get(part), dict):
                node[part] = {}
            node = node[part]
        if isinstance(node, list):
            node[path[-1] : path[-1] + 1] = [value]
        else:
            node[path[-1]] = value

    def _remove(self, path: list[Any]) -> None:
        node: Any = self.values
        for part in path[:-1]:
            if part not in node:
                return
            node = node[part]
        if isinstance(node, dict):
            node.pop(path[-1], None)


def _holds_secret(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_secret, value.values()))
    return isinstance(value, Secret)


def _parse(path: str) -> list[Any]:
    parts = re.findall(r'\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|([^.\[\]]+)', path)
    return [
        int(index) if index else json.loads(f'"{quoted}"') if quoted else name
        for index, quoted, name in parts
    ]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _converted(value: str, flags: set[str], *, nested: bool) -> object:
    if "--secret" in flags:
        return Secret(value)
    if not nested or "string" in flags:
        return value
    if value in ("true", "false"):
        return value == "true"
    # Longer ones lose digits.
    return int(value) if re.fullmatch(r"-?[1-9]\d{0,17}|0", value) else value
