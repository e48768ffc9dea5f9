"""Rules for secrets: outside of Secrets there are none. No message holds a value."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Any

from policy.pods import containers, pod_spec
from policy.reading import UNKNOWN, at, elements, keys, texts

_NAME = re.compile(
    r"(?i)(^|[-_./])(\.?dockerconfigjson|htpasswd|pass(word|wd|phrase)|credentials|token|client[-_]?secret|"
    r"(private|secret|access)[-_]?(access[-_]?)?key)([-_./](?!(file|path)$)|$)"
)
"""Names of secrets, but not of files that hold one, and not tokens.py of PyYAML."""

_GENERATED = {
    "random:index/randomPassword:RandomPassword": ("result",),
    "random:index/randomBytes:RandomBytes": ("base64", "hex"),
    "digitalocean:index/spacesKey:SpacesKey": ("secretKey",),
}
"""The outputs that are secrets."""

BOOTSTRAP = "bootstrap-key"
"""The key that opens all Spaces."""


def named_like_secrets(inputs: dict[str, Any]) -> Iterator[str]:
    """Yield where an object other than a Secret has what sounds like a secret.

    Args:
        inputs: An object.
    """
    parts = {"metadata.annotations": at(inputs, "metadata", "annotations")}
    if inputs.get("kind") == "ConfigMap":
        parts |= {part: at(inputs, part) for part in ("data", "binaryData")}
    for part, values in parts.items():
        for key in keys(values):
            if _NAME.search(key):
                yield f"{part}: expected no key that sounds like a secret: use a Secret"
            if any("PRIVATE KEY-----\n" in text for text in texts(values[key])):
                yield f"{part}: expected no private key: use a Secret"
    for name, container in containers(pod_spec(inputs)):
        for variable in elements(at(container, "env")):
            if _NAME.search(str(at(variable, "name"))) and at(variable, "value"):
                yield f"{name}: env: expected no secret: mount a Secret as a file"


def secrets(kind: str, outputs: dict[str, Any]) -> set[str]:
    """Return the secrets that a resource generates.

    Args:
        kind: Its type.
        outputs: Its outputs.
    """
    values = (at(outputs, name) for name in _GENERATED.get(kind, ()))
    return {value for value in values if value and value is not UNKNOWN}


def holds(outputs: dict[str, Any], generated: Iterable[str]) -> bool:
    """Return whether an object other than a Secret, or a Secret's metadata, holds a secret.

    Args:
        outputs: The object.
        generated: The secrets.
    """
    visible = at(outputs, "metadata") if outputs.get("kind") == "Secret" else outputs
    return _contains(visible, generated)


def _contains(value: Any, generated: Iterable[str]) -> bool:
    forms = {form for x in generated for form in (x, base64.b64encode(x.encode()).decode())}
    return any(form in text for text in texts(value) for form in forms)


def holds_anywhere(outputs: dict[str, Any], generated: Iterable[str]) -> bool:
    """Return whether an object, be it a Secret, holds a secret.

    Args:
        outputs: The object.
        generated: The secrets.
    """
    decoded = [
        base64.b64decode(text).decode(errors="replace")
        for text in texts(at(outputs, "data"))
        if outputs.get("kind") == "Secret"
    ]
    return _contains([outputs, decoded], generated)
