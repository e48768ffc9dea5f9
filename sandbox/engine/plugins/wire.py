"""Property values in the engine's wire format.

Three conventions of all Pulumi SDKs go beyond JSON
(https://github.com/pulumi/pulumi, sdk/go/common/resource/plugin/rpc.go): a value that is not known
yet is a magic string, a secret is an object with a magic key, and every number is a double.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2

Properties = dict[str, Any]
"""A resource's inputs or state: names in camelCase, values of JSON types."""

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""A value that is known only after the update; only for previews."""

_SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
_WRAPPED = "1b47061264138c4ac30d75fd1eb44270"


def decode(struct: struct_pb2.Struct) -> Properties:
    """Return the plain values of a wire structure.

    Secrets are unwrapped at any depth: the engine wraps them in Configure even if the handshake
    declined secrets. Nulls in objects are left out, since an absent property and a null one mean
    the same, and a double without a fraction becomes an integer.
    """
    return {
        key: _plain(value)
        for key, value in json_format.MessageToDict(struct).items()
        if value is not None
    }


def _plain(value: object) -> object:
    if isinstance(value, dict):
        if value.get(_SIGNATURE_KEY) == _WRAPPED:
            return _plain(value["value"])
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def encode(values: Mapping[str, Any], secrets: Collection[str] = ()) -> struct_pb2.Struct:
    """Return the wire structure of plain values, with the properties in ``secrets`` wrapped."""
    struct = struct_pb2.Struct()
    struct.update(
        {
            key: {_SIGNATURE_KEY: _WRAPPED, "value": value} if key in secrets else value
            for key, value in values.items()
        }
    )
    return struct


def holds_unknown(value: object) -> bool:
    """Return whether a value is unknown, or contains an unknown value at any depth."""
    if isinstance(value, dict):
        return any(map(holds_unknown, value.values()))
    if isinstance(value, list):
        return any(map(holds_unknown, value))
    return value == UNKNOWN
