"""Rules for secrets: outside of Secrets there are none. No message holds a value."""

from __future__ import annotations

import base64
import contextlib
import functools
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Any

from policy.pods import containers, pod_spec
from policy.reading import UNKNOWN, at, elements, keys, texts

_NAME = re.compile(
    r"(?i)(^|[-_./0-9]|(?-i:(?<=[a-z])(?=[A-Z])))"
    r"(\.?dockerconfigjson|htpasswd|pass(word|wd|phrase)|pwd|credentials|token|client[-_]?secret|"
    r"(private|secret|access|api)[-_]?(access[-_]?)?key)([-_./0-9](?!(file|path)$)|$)"
)
"""Names of secrets, but not of files that hold one, and not tokens.py of PyYAML."""

_PRIVATE_KEY = re.compile(r"PRIVATE KEY-----\s")

_GENERATED = {
    "random:index/randomPassword:RandomPassword": ("result",),
    "random:index/randomBytes:RandomBytes": ("base64", "hex"),
    "digitalocean:index/spacesKey:SpacesKey": ("secretKey",),
}
"""The outputs that are secrets."""

_URL_SAFE = str.maketrans("+/", "-_")

BOOTSTRAP = "bootstrap-key"
"""The key that opens all Spaces."""


def named_like_secrets(inputs: dict[str, Any]) -> Iterator[str]:
    """Yield where an object other than a Secret has what sounds like a secret."""
    parts = {"metadata.annotations": at(inputs, "metadata", "annotations")}
    if inputs.get("kind") == "ConfigMap":
        parts |= {part: at(inputs, part) for part in ("data", "binaryData")}
    for part, values in parts.items():
        for key in keys(values):
            if _NAME.search(key):
                yield f"{part}: expected no key that sounds like a secret: use a Secret"
            content = [values[key]] if part != "binaryData" else _decoded({key: values[key]})
            if any(_PRIVATE_KEY.search(text) for text in texts(content)):
                yield f"{part}: expected no private key: use a Secret"
    for name, container in containers(pod_spec(inputs)):
        for variable in elements(at(container, "env")):
            if _NAME.search(str(at(variable, "name"))) and at(variable, "value"):
                yield f"{name}: env: expected no secret: mount a Secret as a file"


def secrets(kind: str, outputs: dict[str, Any]) -> set[str]:
    """Return the secrets that a resource generates."""
    values = (at(outputs, name) for name in _GENERATED.get(kind, ()))
    return {value for value in values if value and value is not UNKNOWN}


def holds(outputs: dict[str, Any], generated: Iterable[str]) -> bool:
    """Return whether an object other than a Secret, or a Secret's metadata, holds a secret."""
    return _contains(at(outputs, "metadata") if _is_secret(outputs) else outputs, generated)


def holds_anywhere(outputs: dict[str, Any], generated: Iterable[str]) -> bool:
    """Return whether an object, be it a Secret, holds a secret."""
    decoded = _decoded(at(outputs, "data")) if _is_secret(outputs) else []
    return _contains([outputs, decoded], generated)


def _is_secret(outputs: dict[str, Any]) -> bool:
    return outputs.get("kind") == "Secret"


def _decoded(data: Any) -> list[str]:
    """Return the texts that base64 stands for; what is none, the API server will refuse."""
    decoded = []
    for text in elements([at(data, key) for key in keys(data)]):
        with contextlib.suppress(ValueError):
            decoded.append(base64.b64decode(text).decode(errors="replace"))
    return decoded


def _contains(properties: Any, generated: Iterable[str]) -> bool:
    # Some programs break lines of base64.
    found = "\0".join("".join(text.split()) for text in texts(properties))
    return any(form in found for secret in generated for form in forms(secret))


@functools.cache
def forms(secret: str) -> frozenset[str]:
    """Return what each encoding of a secret, alone or amid other text, contains.

    A Secret's data in the form of docker's configuration is twice in base64.
    """
    raw = secret.encode()
    once = set(_base64(secret))
    twice = {digits for text in once for digits in _base64(text)}
    plain = {secret, raw.hex(), raw.hex().upper(), urllib.parse.quote(secret, safe="")}
    return frozenset(plain | once | twice)


def _base64(text: str) -> Iterator[str]:
    """Yield the digits that depend on nothing but the text, at each alignment."""
    raw = text.encode()
    for before in range(3):
        shifted = base64.b64encode(bytes(before) + raw).decode()
        digits = shifted[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        yield digits
        yield digits.translate(_URL_SAFE)
