"""Files that are wholly ours: the first line says so, and has a checksum of the others.

k3s merges no files: what somebody else wrote, or changed, is left as it is.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import yaml

_OURS = re.compile(rb"# Written by Pulumi for (?P<owner>\S+), (?P<checksum>[0-9a-f]{16})\b.*\n")


class RefusedError(Exception):
    """The file cannot be written; says why."""


def new_file(content: dict[str, Any], owner: str) -> str:
    """Return the text of a file with this content, which is the owner's."""
    text = yaml.safe_dump(content, sort_keys=False)
    checksum = _checksum(text.encode())
    return f"# Written by Pulumi for {owner}, {checksum}; delete this line to edit others\n{text}"


def update(current: bytes | None, wanted: bytes | None, owner: str) -> bytes | None:
    """Return what a file must be.

    Args:
        current: What it is; None for no file.
        wanted: What :func:`new_file` returned; None if the owner's file must go.
        owner: The owner.

    Raises:
        RefusedError: Somebody else wrote or changed it, and it lacks something of what is wanted.
    """
    if current and wanted and current.strip() == wanted.strip():
        return current  # As `pulumi stack output` prints it, with a line more.
    ours = _OURS.match(current or b"")
    if ours and ours["owner"] != owner.encode():
        ours = None
    if current is None or (ours and ours["checksum"].decode() == _checksum(current[ours.end() :])):
        return wanted
    if wanted is None:
        if ours:
            raise RefusedError("somebody changed it")
        return current
    if not current.strip():
        return wanted
    try:
        if _holds(yaml.safe_load(current), yaml.safe_load(wanted)):
            return current
    except (yaml.YAMLError, ValueError, RecursionError):
        pass  # It is not even YAML.
    raise RefusedError(
        "somebody else wrote or changed it, and k3s reads no other: add what is missing, and "
        "delete the first line if it says `Written by Pulumi`"
    )


def _checksum(text: bytes) -> str:
    return hashlib.sha256(text.strip()).hexdigest()[:16]


def _holds(there: object, wanted: object) -> bool:
    """Return whether mappings have what is wanted, among other things."""
    if not isinstance(wanted, dict):
        return there == wanted
    return isinstance(there, dict) and all(
        key in there and _holds(there[key], value) for key, value in wanted.items()
    )
