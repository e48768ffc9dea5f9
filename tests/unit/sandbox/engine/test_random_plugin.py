from __future__ import annotations

import base64
import string

import bcrypt
import pytest
from pulumi.runtime.proto import provider_pb2

from sandbox.engine.plugins.random_plugin import PLUGIN, RandomBytes, RandomPassword, RandomString
from sandbox.engine.plugins.resource import Resource
from sandbox.engine.plugins.wire import Properties, decode, encode
from tests.unit.sandbox.fakes import call


def create(kind: type[Resource], **inputs: object) -> tuple[str, Properties]:
    response = call(
        PLUGIN.Create,
        provider_pb2.CreateRequest(type=kind.token("random"), properties=encode(inputs)),
    )
    return response.id, decode(response.properties)


def reasons(kind: type[Resource], **inputs: object) -> list[str]:
    request = provider_pb2.CheckRequest(type=kind.token("random"), news=encode(inputs))
    return [failure.reason for failure in call(PLUGIN.Check, request).failures]


def test_bytes_are_the_same_in_both_notations() -> None:
    identifier, state = create(RandomBytes, length=32)
    assert base64.b64decode(state["base64"]) == bytes.fromhex(state["hex"])
    assert len(state["hex"]) == 64
    assert identifier == "none", "an identifier is stored in the clear"


def test_a_string_is_drawn_of_the_allowed_kinds() -> None:
    identifier, state = create(RandomString, length=200, special=False, upper=False)
    assert set(state["result"]) <= {*string.ascii_lowercase, *string.digits}, (
        "a Space's name has neither upper case nor special characters"
    )
    assert len(state["result"]) == 200
    assert identifier == state["result"], "as upstream does"


def test_two_draws_differ() -> None:
    assert create(RandomString, length=32)[1] != create(RandomString, length=32)[1]


def test_the_state_has_the_defaults() -> None:
    _, state = create(RandomString, length=8)
    assert state["special"] is True
    assert state["minUpper"] == 0


def test_the_minimum_of_each_kind_is_kept() -> None:
    _, state = create(RandomString, length=8, minLower=2, minUpper=2, minNumeric=2, minSpecial=2)
    for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
        assert sum(letter in kind for letter in state["result"]) == 2


def test_special_characters_can_be_chosen() -> None:
    allowed = {"lower": False, "upper": False, "numeric": False}
    _, state = create(RandomString, length=50, overrideSpecial="-_", **allowed)
    assert set(state["result"]) <= {"-", "_"}


@pytest.mark.parametrize("name", ["numeric", "number"])
def test_digits_go_by_either_name(name: str) -> None:
    _, state = create(RandomString, length=200, **{name: False})
    assert not set(state["result"]) & {*string.digits}


def test_a_password_fits_its_hash() -> None:
    identifier, state = create(RandomPassword, length=32, special=False)
    assert state["result"].isalnum()
    assert bcrypt.checkpw(state["result"].encode(), state["bcryptHash"].encode())
    assert identifier == "none", "an identifier is stored in the clear"


def test_a_password_longer_than_bcrypt_takes_is_cut() -> None:
    _, state = create(RandomPassword, length=100)
    assert bcrypt.checkpw(state["result"].encode()[:72], state["bcryptHash"].encode())


@pytest.mark.parametrize("kind", [RandomBytes, RandomString, RandomPassword])
def test_nothing_cannot_be_drawn(kind: type[Resource]) -> None:
    assert reasons(kind, length=0) == ["expected at least 1"]


def test_a_length_below_the_minimum_counts_is_refused() -> None:
    assert reasons(RandomString, length=3, minLower=2, minUpper=2) == [
        "expected at least 4, the sum of the minimum counts"
    ]


def test_no_kind_of_character_at_all_is_refused() -> None:
    none = dict.fromkeys(("lower", "upper", "numeric", "special"), False)
    assert reasons(RandomString, length=3, **none) == [
        "expected at least one kind of character to be allowed"
    ]


@pytest.mark.parametrize("kind", [RandomBytes, RandomString, RandomPassword])
def test_every_change_draws_anew(kind: type[Resource]) -> None:
    request = provider_pb2.DiffRequest(
        type=kind.token("random"),
        old_inputs=encode({"length": 8}),
        news=encode({"length": 8, "keepers": {"generation": "2"}}),
    )
    assert list(call(PLUGIN.Diff, request).replaces) == ["keepers"], "keepers rotate secrets"


@pytest.mark.parametrize("kind", [RandomBytes, RandomString, RandomPassword])
def test_a_refresh_changes_nothing(kind: type[Resource]) -> None:
    _, state = create(kind, length=8)
    request = provider_pb2.ReadRequest(
        type=kind.token("random"),
        id="none",
        properties=encode(state),
        inputs=encode({"length": 8}),
    )
    response = call(PLUGIN.Read, request)
    assert (decode(response.properties), decode(response.inputs)) == (state, {"length": 8})
