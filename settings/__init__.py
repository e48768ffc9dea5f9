"""What this program reads from its configuration and environment, read and checked once.

The models of this package are the one place that knows a setting's type, default and meaning;
Pulumi.yaml repeats names and defaults for `pulumi config`, and a test compares the two.

To add a key, add a field to its section, with a type from types.py, and describe it in Pulumi.yaml
and in the README's table; a test says what is missing. A new section is a class in schema.py, or
in a file of its name, and a field of `Settings` in model.py. A key that holds a secret has the type
`SecretKey`, or another with ``Field(repr=False)``: then it must be set with --secret, and no error
shows its value.

Garbage collection is off from here on: the SDKs, which this imports first, are a million objects
that stay until the end of a run of seconds. Looking for garbage among them takes a quarter of a
preview's time.
"""

from __future__ import annotations

import atexit
import gc

gc.disable()
atexit.register(gc.freeze)  # The interpreter collects once more when it ends.

import json
import re
from collections.abc import Mapping

from pydantic import ValidationError

from settings.commands import KeyPath, dotted, leaves, secret_command
from settings.credentials import CloudAccess, find_access, missing_access
from settings.keys import Keys
from settings.misplaced import Misplaced
from settings.model import Settings
from settings.problems import SECRET, Problem, SettingsError, problems_of

__all__ = ["Settings", "SettingsError", "load"]

_KEYS = Keys(Settings)


def load(
    config: Mapping[str, str],
    secret_keys: frozenset[str],
    environment: Mapping[str, str],
    project: str,
) -> tuple[Settings, CloudAccess]:
    """Read and check everything.

    Args:
        config: The stack's configuration as the engine passes it: ``namespace:key`` to text, which
            is JSON for objects.
        secret_keys: Those of its keys that hold secrets, also somewhere inside.
        environment: The process's environment.
        project: The Pulumi project's name, the namespace of this program's own keys.

    Raises:
        SettingsError: With everything that is wrong, and how to fix it.
    """
    prefix = f"{project}:"
    texts = {
        key.removeprefix(prefix): x for key, x in sorted(config.items()) if key.startswith(prefix)
    }
    # Not "missing", but refused with what is expected of a hostname.
    values = {"hostname": ""} | {key: _value(text) for key, text in texts.items()}
    encrypted = {key.removeprefix(prefix) for key in secret_keys}
    problems = Misplaced(texts, values, encrypted, _KEYS).problems()
    problems += _plaintext_secrets(values, encrypted)
    problems += _plaintext_credentials(config, secret_keys)
    access, refused = find_access(config, environment)
    problems += refused
    settings = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += problems_of(error, values, _KEYS, _KEYS.hidden(values, encrypted))
    storage = values.get("storage")
    in_a_space = not isinstance(storage, dict) or storage.get("kind", "spaces") == "spaces"
    if in_a_space or (settings and settings.dns.zone):
        problems += missing_access(access, environment)
    if settings is None or problems:
        raise SettingsError(problems)
    return settings, access


def _value(text: str) -> object:
    """Return what a configured text stands for."""
    try:
        return json.loads(text) if text.startswith(("{", "[")) else text
    except ValueError:
        return text


def _plaintext_secrets(values: Mapping[str, object], encrypted: set[str]) -> list[Problem]:
    return [
        _plaintext(path)
        for key, value in values.items()
        for path, _ in leaves((key,), value)
        if key not in encrypted and _KEYS.is_secret(path)
    ]


def _plaintext_credentials(config: Mapping[str, str], secret_keys: frozenset[str]) -> list[Problem]:
    """Return the providers' own keys that are in plaintext; a kubeconfig may be a path."""
    secrets = {"digitalocean:token", "digitalocean:spacesSecretKey"}
    if re.search(r"[\n{]", config.get("kubernetes:kubeconfig", "")):
        secrets.add("kubernetes:kubeconfig")
    return [_plaintext((key,)) for key in config if key in secrets - secret_keys]


def _plaintext(path: KeyPath) -> Problem:
    return Problem(
        dotted(path),
        SECRET,
        "expected it to be set with --secret: it is in plaintext in the stack's configuration file",
        secret_command(path, path),
    )
