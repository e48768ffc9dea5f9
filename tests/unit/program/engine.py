"""An engine that records what the program registers, as it arrives on the wire.

https://www.pulumi.com/docs/iac/concepts/testing/unit/ shows mocks; a monitor of our own sees more:
resource options, which parts of the inputs are secret, and the outputs of components.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pulumi
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto import engine_pb2, resource_pb2
from pulumi.runtime.rpc import _special_secret_sig, _special_sig_key

from settings.tls import TlsSettings

STACK_TYPE = "pulumi:pulumi:Stack"

SMOKE_TEST = "smoke-test-job"

NO_OPTIONS = {
    *("type", "name", "object", "custom", "version", "accepts_byte_string"),
    *("acceptSecrets", "acceptResources", "supportsPartialValues", "supportsResultReporting"),
    *("sourcePosition", "stackTrace", "parentStackTraceHandle", "packageRef"),
    "propertyDependencies",  # Each of them is in `dependencies` too.
    "hooks",  # test_program.py: every object of the cluster has the same.
}
"""The fields of a registration that are no resource options, or that the SDK sets by itself."""


@dataclass(frozen=True)
class Secret:
    """A value that the program handed over as a secret."""

    value: Any


def received(value: Any) -> Any:
    """Return a value from the wire, with its secrets as :class:`Secret`."""
    if isinstance(value, dict):
        if value.get(_special_sig_key) == _special_secret_sig:
            return Secret(received(value["value"]))
        return {key: received(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [received(inner) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)  # The wire has no integers.
    return value


def plain(value: Any) -> Any:
    """Return a received value without the marks of secrets."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


@dataclass
class Resource:
    """A resource that the program registered.

    Attributes:
        urn: Its URN, as the engine forms it.
        type: Its type token.
        marked: Its inputs, with secrets marked.
        options: Its options, with other resources by their names.
        hooks: The names of its hooks, by when they run.
        state: What the provider returned, secrets in plain text.
        outputs: The outputs that a component registered, with secrets marked.
    """

    urn: str
    type: str
    marked: dict[str, Any]
    options: dict[str, Any]
    hooks: dict[str, list[str]]
    state: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] | None = None

    @property
    def inputs(self) -> dict[str, Any]:
        """Its inputs, secrets in plain text."""
        inputs: dict[str, Any] = plain(self.marked)
        return inputs


def computed(name: str, type_: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return what a provider adds to the inputs of a resource: other values for each name."""
    if type_.startswith("kubernetes:"):
        return {"metadata": {"name": f"{name}-0a1b2c3d", "generation": 1} | inputs["metadata"]}
    if type_.endswith(":SpacesKey"):
        return {"accessKey": f"DO00-{name}", "secretKey": f"secret-of-{name}"}
    if type_.endswith(":RandomBytes"):
        value = hashlib.shake_128(name.encode()).digest(inputs["length"])
        return {"base64": base64.b64encode(value).decode(), "hex": value.hex()}
    if type_ == "pulumi:index:Stash":
        return {"output": inputs["input"]}
    if type_.startswith("random:"):
        letters = "".join(filter(str.isalnum, name))
        return {"result": letters.ljust(inputs["length"], "0")[: inputs["length"]]}
    return {}


@dataclass(eq=False)
class Engine(MockMonitor):
    """Records every registration and every message; responds as the providers would."""

    resources: dict[str, Resource] = field(default_factory=dict)  # type: ignore[assignment] # theirs is of states
    messages: list[str] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """The hostnames that the program sends a request to, and whether by TLS."""
    reported: list[dict[str, str]] = field(default_factory=list)
    asked_for_copy: list[dict[str, str]] = field(default_factory=list)
    """The storages whose usage is shown."""
    state: dict[str, dict[str, Any]] = field(default_factory=dict)
    in_previews: dict[str, bool] = field(default_factory=dict)
    """Whether a hook runs in previews, too, by its name."""
    _by_urn: dict[str, Resource] = field(default_factory=dict)

    @property
    def stack(self) -> Resource:
        """The stack itself, whose outputs are those of the program."""
        return next(item for item in self._by_urn.values() if item.type == STACK_TYPE)

    @property
    def outputs(self) -> dict[str, Any]:
        """The outputs of the stack, secrets in plain text."""
        outputs: dict[str, Any] = plain(self.stack.outputs)
        return outputs

    def inputs(self, name: str) -> dict[str, Any]:
        """Return the inputs of a resource, secrets in plain text."""
        return self.resources[name].inputs

    def types(self) -> list[str]:
        """Return the type of each resource."""
        return [resource.type for resource in self.resources.values()]

    def report_ingress(self, url: str, tls: TlsSettings, _: object) -> None:
        """Record a request from this machine, which comes after the smoke test."""
        assert SMOKE_TEST in self.resources
        self.requests.append((url, tls.mode))

    def report_usage(self, storage: dict[str, str]) -> None:
        """Record a look at the storage's usage, which comes after the smoke test."""
        assert SMOKE_TEST in self.resources
        self.reported.append(storage)

    def report_backup(self, storage: dict[str, str]) -> None:
        """Record a question for the age of the copy, which comes after the smoke test."""
        assert SMOKE_TEST in self.resources
        self.asked_for_copy.append(storage)

    def RegisterResource(  # noqa: N802 - the protocol's name
        self, request: resource_pb2.RegisterResourceRequest
    ) -> resource_pb2.RegisterResourceResponse:
        urn = self.make_urn(request.parent, request.type, request.name)
        resource = Resource(
            urn=urn,
            type=request.type,
            marked=received(json_format.MessageToDict(request.object)),
            options=options(request),
            hooks=json_format.MessageToDict(request.hooks),
        )
        self._by_urn[urn] = resource
        if request.type == STACK_TYPE:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        if request.name in self.resources:
            raise AssertionError(f"two resources are called {request.name}, and tests tell by name")
        self.resources[request.name] = resource
        state = resource.inputs
        if not pulumi.runtime.is_dry_run():
            state |= computed(request.name, request.type, resource.inputs)
        state |= self.state.get(request.name, {})
        resource.state = dict(state)
        for secret in set(request.additionalSecretOutputs) & set(state):
            state[secret] = {_special_sig_key: _special_secret_sig, "value": state[secret]}
        response = resource_pb2.RegisterResourceResponse(urn=urn)
        if not pulumi.runtime.is_dry_run():
            response.id = f"{request.name}-id"
        json_format.ParseDict(state, response.object)
        return response

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Return a URN with the types of all parents, as the engine does; theirs has one's.

        https://www.pulumi.com/docs/iac/concepts/resources/names/#urns
        """
        chain = parent.split("::")[2] if parent else STACK_TYPE
        qualified = type_ if chain == STACK_TYPE else f"{chain}${type_}"
        return f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{qualified}::{name}"

    def RegisterResourceOutputs(  # noqa: N802 - the protocol's name
        self, request: resource_pb2.RegisterResourceOutputsRequest
    ) -> empty_pb2.Empty:
        self._by_urn[request.urn].outputs = received(json_format.MessageToDict(request.outputs))
        return empty_pb2.Empty()

    def RegisterResourceHook(  # noqa: N802 - the protocol's name
        self, request: resource_pb2.RegisterResourceHookRequest
    ) -> empty_pb2.Empty:
        self.in_previews[request.name] = request.on_dry_run
        return empty_pb2.Empty()

    def Invoke(self, request: resource_pb2.ResourceInvokeRequest) -> NoReturn:  # noqa: N802 - likewise
        raise AssertionError(f"the program calls {request.tok}, but it must need no look-up")

    def Log(self, request: engine_pb2.LogRequest) -> None:  # noqa: N802 - likewise
        if request.severity != engine_pb2.DEBUG:
            about = f"{named(request.urn)}: " if request.urn else ""
            self.messages.append(f"{about}{request.message}")


def options(request: resource_pb2.RegisterResourceRequest) -> dict[str, Any]:
    """Return the options of a resource, with other resources by their names."""
    fields: dict[str, Any] = json_format.MessageToDict(request, preserving_proto_field_name=True)
    aliases = fields.pop("aliases", [])
    chosen = {key: named(value) for key, value in fields.items() if value and key not in NO_OPTIONS}
    if "dependencies" in chosen:
        chosen["dependencies"].sort()
    # Without those that every SDK has for a type that moved.
    ours = [
        alias for alias in aliases if not alias["spec"].get("type", "").startswith("kubernetes:")
    ]
    return chosen | ({"aliases": ours} if ours else {})


def named(value: Any) -> Any:
    """Return a value with each URN, and each reference to a provider, as the resource's name."""
    if isinstance(value, dict):
        return {key: named(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [named(inner) for inner in value]
    if not isinstance(value, str) or not value.startswith("urn:"):
        return value
    _, _, type_, name, *_ = value.split("::")
    return "stack" if type_ == STACK_TYPE else name
