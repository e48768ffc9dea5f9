from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import pytest
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import provider_pb2
from typing_extensions import override

from sandbox.engine.plugins.resource import PartialError, ProviderError, Resource
from sandbox.engine.plugins.resource_plugin import Plugin, difference
from sandbox.engine.plugins.wire import UNKNOWN, Properties, decode, encode
from tests.unit.sandbox.fakes import AbortedError, call

TOKEN = "test:index/thing:Thing"
Kind = provider_pb2.PropertyDiff


class Thing(Resource):
    inputs: ClassVar[Mapping[str, object]] = {
        "name": None,
        "size": 1,
        "place": "here",
        "note": None,
    }
    required = frozenset({"note"})
    outputs = frozenset({"key", "made"})
    secret_outputs = frozenset({"key"})
    replaces = frozenset({"place"})
    autonamed = True

    @override
    def check(self, inputs: Properties) -> Iterable[tuple[str, str]]:
        if inputs.get("size", 1) < 1:
            yield "size", "expected at least 1"

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        state = self.with_defaults(inputs) | {"key": "k", "made": self.config.get("when", "")}
        if inputs["note"] == "half":
            raise PartialError("only half of it", "id-1", state)
        if inputs["note"] == "not":
            raise ProviderError("nothing of it")
        return "id-1", state

    @override
    def read(
        self, identifier: str, state: Properties, inputs: Properties
    ) -> tuple[Properties, Properties] | None:
        return None if identifier == "gone" else (state, inputs | {"size": 5})

    @override
    def update(self, identifier: str, state: Properties, inputs: Properties) -> Properties:
        state = self.with_defaults(inputs) | {"key": state["key"], "made": "updated"}
        if inputs["note"] == "half":
            raise PartialError("only half of it", identifier, state)
        return state

    @override
    def delete(self, identifier: str, state: Properties) -> None:
        raise ProviderError(f"{identifier} stays")


@pytest.fixture
def plugin() -> Plugin:
    return Plugin("test", [Thing], dict)


def check(plugin: Plugin, news: Properties, olds: Properties | None = None) -> Any:
    request = provider_pb2.CheckRequest(
        type=TOKEN,
        name="thing",
        news=encode(news),
        olds=encode(olds or {}),
        randomSeed=bytes.fromhex("0123456789abcdef"),
    )
    return call(plugin.Check, request)


def failures(response: provider_pb2.CheckResponse) -> list[tuple[str, str]]:
    return [(failure.property, failure.reason) for failure in response.failures]


def test_equal_inputs_are_no_difference() -> None:
    response = difference({"a": [1], "b": {"c": "d"}}, {"b": {"c": "d"}, "a": [1]})
    assert response.changes == provider_pb2.DiffResponse.DIFF_NONE, (
        "the second up would not be empty"
    )


def test_each_change_is_told_by_its_kind() -> None:
    response = difference(
        {"kept": 1, "changed": 1, "dropped": 1, "moved": 1},
        {"kept": 1, "changed": 2, "added": 1, "moved": UNKNOWN, "new": 1},
        replaces={"moved", "new"},
    )
    kinds = {key: detail.kind for key, detail in response.detailedDiff.items()}
    assert kinds == {
        "changed": Kind.UPDATE,
        "dropped": Kind.DELETE,
        "added": Kind.ADD,
        "moved": Kind.UPDATE_REPLACE,
        "new": Kind.ADD_REPLACE,
    }
    assert list(response.replaces) == ["moved", "new"]
    assert response.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert response.hasDetailedDiff, "replace_on_changes works on the detailed diff"


def test_a_diff_compares_inputs_and_not_the_state(plugin: Plugin) -> None:
    request = provider_pb2.DiffRequest(
        type=TOKEN,
        olds=encode({"note": "n", "size": 1, "key": "k"}),
        old_inputs=encode({"note": "n"}),
        news=encode({"note": "n"}),
    )
    response = call(plugin.Diff, request)
    assert response.changes == provider_pb2.DiffResponse.DIFF_NONE, (
        "defaults and outputs in the state are no change"
    )


def test_a_diff_tells_what_is_new_from_what_is_old(plugin: Plugin) -> None:
    request = provider_pb2.DiffRequest(
        type=TOKEN, old_inputs=encode({"note": "n", "old": 1}), news=encode({"note": "n", "new": 1})
    )
    for diff in (plugin.Diff, plugin.DiffConfig):
        kinds = {key: detail.kind for key, detail in call(diff, request).detailedDiff.items()}
        assert kinds == {"old": Kind.DELETE, "new": Kind.ADD}


def test_a_name_is_made_of_the_logical_one(plugin: Plugin) -> None:
    inputs = decode(check(plugin, {"note": "n"}).inputs)
    assert inputs["name"] == "thing-0123456"


def test_a_name_once_made_stays(plugin: Plugin) -> None:
    inputs = decode(check(plugin, {"note": "n"}, {"name": "thing-fedcba9"}).inputs)
    assert inputs["name"] == "thing-fedcba9", "a new name at each run would replace the resource"


def test_unknown_and_missing_properties_are_named(plugin: Plugin) -> None:
    assert failures(check(plugin, {"colour": "red"})) == [
        ("colour", "unknown property"),
        ("note", "missing required property"),
    ]


def test_a_wrong_value_is_named_with_the_reason(plugin: Plugin) -> None:
    assert failures(check(plugin, {"note": "n", "size": 0})) == [("size", "expected at least 1")]


def test_an_unknown_value_is_not_judged(plugin: Plugin) -> None:
    assert not failures(check(plugin, {"note": "n", "size": UNKNOWN})), "it cannot be compared yet"


def test_a_preview_of_a_creation_shows_defaults_and_unknown_outputs(plugin: Plugin) -> None:
    request = provider_pb2.CreateRequest(type=TOKEN, preview=True, properties=encode({"note": "n"}))
    response = call(plugin.Create, request)
    assert response.id == "", "an identifier would be taken for that of a real resource"
    assert decode(response.properties) == {
        "note": "n",
        "size": 1,
        "place": "here",
        "key": UNKNOWN,
        "made": UNKNOWN,
    }


def test_a_preview_of_an_update_keeps_the_outputs(plugin: Plugin) -> None:
    request = provider_pb2.UpdateRequest(
        type=TOKEN,
        id="id-1",
        preview=True,
        olds=encode({"note": "n", "size": 1, "key": "k", "made": "m"}),
        news=encode({"note": "changed"}),
    )
    state = decode(call(plugin.Update, request).properties)
    assert state == {"note": "changed", "size": 1, "place": "here", "key": "k", "made": "m"}, (
        "an output that shows as unknown makes all that depends on it show as changed"
    )


def test_only_the_secret_outputs_are_marked(plugin: Plugin) -> None:
    request = provider_pb2.CreateRequest(type=TOKEN, properties=encode({"note": "n"}))
    sent = json_format.MessageToDict(call(plugin.Create, request).properties)
    wrapped = {key for key, value in sent.items() if isinstance(value, dict)}
    assert wrapped == {"key"}


def test_a_provider_config_reaches_its_resources_with_secrets_unwrapped(plugin: Plugin) -> None:
    args = encode({"when": "today"}, {"when"})
    response = call(plugin.Configure, provider_pb2.ConfigureRequest(args=args))
    assert response.supportsPreview, "else the engine would invent the previews itself"
    request = provider_pb2.CreateRequest(type=TOKEN, properties=encode({"note": "n"}))
    assert decode(call(plugin.Create, request).properties)["made"] == "today"


def test_a_failure_is_told_in_its_own_words(plugin: Plugin) -> None:
    request = provider_pb2.CreateRequest(type=TOKEN, properties=encode({"note": "not"}))
    with pytest.raises(AbortedError, match=r"^nothing of it$") as caught:
        call(plugin.Create, request)
    assert caught.value.partial is None


def test_a_half_made_resource_stays_with_the_engine(plugin: Plugin) -> None:
    request = provider_pb2.CreateRequest(type=TOKEN, properties=encode({"note": "half"}))
    with pytest.raises(AbortedError, match="only half of it") as caught:
        call(plugin.Create, request)
    partial = caught.value.partial
    assert partial, "without it the engine would forget what is there already"
    assert (partial.id, list(partial.reasons)) == ("id-1", ["only half of it"])
    assert decode(partial.properties)["key"] == "k"
    sent = json_format.MessageToDict(partial.properties)
    assert sent["key"] != "k", "a failure must not store a secret in the clear"


def test_a_half_done_update_stays_with_the_engine(plugin: Plugin) -> None:
    request = provider_pb2.UpdateRequest(
        type=TOKEN, id="id-1", olds=encode({"key": "k"}), news=encode({"note": "half"})
    )
    with pytest.raises(AbortedError, match="only half of it") as caught:
        call(plugin.Update, request)
    assert caught.value.partial
    assert decode(caught.value.partial.properties)["made"] == "updated"


def test_a_gone_resource_reads_as_nothing(plugin: Plugin) -> None:
    response = call(plugin.Read, provider_pb2.ReadRequest(type=TOKEN, id="gone"))
    assert response.id == "", "an identifier would say that it is still there"


def test_drift_is_read_into_the_inputs(plugin: Plugin) -> None:
    request = provider_pb2.ReadRequest(
        type=TOKEN, id="id-1", properties=encode({"size": 5}), inputs=encode({"size": 1})
    )
    response = call(plugin.Read, request)
    assert response.id == "id-1"
    assert decode(response.inputs) == {"size": 5}, "the next diff compares the inputs"


def test_a_failed_deletion_is_told(plugin: Plugin) -> None:
    with pytest.raises(AbortedError, match="id-1 stays"):
        call(plugin.Delete, provider_pb2.DeleteRequest(type=TOKEN, id="id-1"))


def test_another_type_is_refused_with_those_that_there_are(plugin: Plugin) -> None:
    with pytest.raises(AbortedError, match=f"no test:index/other:Other, only {TOKEN}"):
        call(plugin.Check, provider_pb2.CheckRequest(type="test:index/other:Other"))


def test_a_changed_provider_config_is_an_update(plugin: Plugin) -> None:
    request = provider_pb2.DiffRequest(old_inputs=encode({"a": "1"}), news=encode({"a": "2"}))
    response = call(plugin.DiffConfig, request)
    assert not response.replaces, "a new provider would replace all of its resources"
    assert response.changes == provider_pb2.DiffResponse.DIFF_SOME


def test_the_handshake_declines_secrets(plugin: Plugin) -> None:
    response = call(plugin.Handshake, provider_pb2.ProviderHandshakeRequest())
    assert not response.accept_secrets, "the engine keeps track of secrets in inputs only then"


def test_the_version_is_that_of_the_sdk() -> None:
    from importlib.metadata import version

    info = call(Plugin("random", [Thing], dict).GetPluginInfo, empty_pb2.Empty())
    assert info.version == version("pulumi-random")
