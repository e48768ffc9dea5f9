from __future__ import annotations

import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime import rpc

from sandbox.engine.plugins import wire


def test_the_magic_values_are_those_of_the_sdk() -> None:
    assert wire.UNKNOWN == rpc.UNKNOWN, "the engine would take an unknown value for a plain string"
    wrapped = json_format.MessageToDict(wire.encode({"key": "value"}, {"key"}))["key"]
    assert wrapped == {rpc._special_sig_key: rpc._special_secret_sig, "value": "value"}, (
        "the engine would store a secret in the clear"
    )


def test_plain_values_survive_the_wire() -> None:
    values = {"a": "text", "b": 3, "c": 0.5, "d": True, "e": [1, {"f": "g"}], "h": {"i": []}}
    assert wire.decode(wire.encode(values)) == values


def test_a_double_without_a_fraction_becomes_an_integer() -> None:
    length = wire.decode(wire.encode({"length": 8.0, "in": [{"depth": 2.0}]}))
    assert length == {"length": 8, "in": [{"depth": 2}]}
    assert isinstance(length["length"], int), "range() and slices refuse a float"


def test_a_null_property_is_an_absent_one() -> None:
    struct = struct_pb2.Struct()
    struct.update({"gone": None, "kept": {"gone": None, "list": [None, 1]}})
    assert wire.decode(struct) == {"kept": {"list": [None, 1]}}


def test_secrets_are_unwrapped_at_any_depth() -> None:
    inner = wire.encode({"deep": "secret"}, {"deep"})
    outer = wire.encode({"list": [json_format.MessageToDict(inner)]}, {"list"})
    assert wire.decode(outer) == {"list": [{"deep": "secret"}]}, (
        "Configure gets secrets wrapped whatever the handshake said"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (wire.UNKNOWN, True),
        ([{"bucket": wire.UNKNOWN}], True),
        ([{"bucket": "known"}, []], False),
        (None, False),
        (3, False),
    ],
)
def test_an_unknown_is_found_at_any_depth(value: object, expected: bool) -> None:
    assert wire.holds_unknown(value) is expected
