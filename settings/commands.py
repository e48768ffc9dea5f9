"""The ``pulumi config`` commands that fix a stack's configuration.

How they take paths and values:
https://www.pulumi.com/docs/iac/concepts/config/#structured-configuration
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from enum import Enum

KeyPath = tuple[str | int, ...]
"""The names of a nested key, from the top-level key on; numbers are indexes of lists."""


class Ask(Enum):
    """Values that a command asks for, since nobody else can know them."""

    VALUE = ""
    DIGITS = "--type string"
    """Digits that Pulumi would take for a number."""


class FromFile(str):
    """The path of a file whose contents are the value."""

    __slots__ = ()


def dotted(path: Sequence[str | int]) -> str:
    """Return a key as ``pulumi config --path`` takes it; a top-level key as it is."""
    text = str(path[0])
    for part in path[1:]:
        simple = isinstance(part, str) and re.fullmatch(r'[^.\[\]"]+', part)
        text += f".{part}" if simple else f"[{json.dumps(part)}]"
    return text


def leaves(path: KeyPath, value: object) -> Iterator[tuple[KeyPath, object]]:
    """Yield each value that is neither object nor list, with its path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves((*path, name), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves((*path, index), inner)
    else:
        yield path, value


def fix_command(path: KeyPath, right: object) -> str:
    """Return the command that gives a key the right value; None removes it."""
    remove = _command("rm", path)
    if right is None:
        return remove
    if isinstance(right, dict | list):
        # Pulumi does not set objects and lists at once, nor elements where something else is.
        return " && ".join([remove, *(set_command(*leaf) for leaf in leaves(path, right))])
    return set_command(path, right)


def set_command(path: Sequence[str | int], value: object = Ask.VALUE) -> str:
    """Return the command that sets a key to one value, which is no secret."""
    if isinstance(value, Ask):
        return _command("set", path, value.value)
    text = value if isinstance(value, str) else json.dumps(value)
    # Pulumi refuses seven characters that look random under a key that sounds like a secret's, as
    # those of the names of Secrets do:
    # https://github.com/pulumi/pulumi/blob/v3.259.0/pkg/cmd/pulumi/config/config.go#L1431-L1461
    suspect = len(text) >= 7 and re.search("(?i)pass|pwd|secret|token", dotted(path))
    command = _command("set", path, "--plaintext" if suspect else "")
    if isinstance(value, FromFile):
        return f"{command} < {shlex.quote(value)}"
    # A word that starts with a hyphen would be taken for a flag.
    return f"{command} {'-- ' if text.startswith('-') else ''}{shlex.quote(text)}"


def secret_command(path: KeyPath, source: KeyPath | None = None) -> str:
    """Return the command that sets a secret key from another, or asks for it; it shows nothing."""
    command = _command("set", path, "--secret")
    return f"{_command('get', source)} | {command}" if source else command


def _command(verb: str, path: Sequence[str | int], flag: str = "") -> str:
    nested = "--path" if len(path) > 1 else ""
    words = ["pulumi config", verb, nested, flag, shlex.quote(dotted(path))]
    return " ".join(word for word in words if word)
