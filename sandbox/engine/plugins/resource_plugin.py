"""A resource plugin for a real Pulumi engine, with resources written in Python.

The sandbox's stand-ins for released plugins are built on it. It implements the resource provider
protocol, since the SDK's ``pulumi.provider.experimental`` neither passes the old inputs to a diff
nor supports partial failures. Not covered: functions, components, custom timeouts, schemas, and
type checks of values (a number passed as a string is accepted).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2
from typing_extensions import override

from sandbox.engine.plugins import serving
from sandbox.engine.plugins.protocol import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2
from sandbox.engine.plugins.resource import PartialError, ProviderError, Resource
from sandbox.engine.plugins.wire import Properties, decode, encode, holds_unknown

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


def difference(
    old: Properties, new: Properties, replaces: Collection[str] = ()
) -> provider_pb2.DiffResponse:
    """Return the changed properties.

    Args:
        old: The inputs of the last update or refresh.
        new: The current inputs; unknown ones count as changed.
        replaces: The properties whose change replaces the resource.
    """
    changed = sorted(key for key in old | new if old.get(key) != new.get(key))
    details = {}
    for key in changed:
        kind = "ADD" if key not in old else "DELETE" if key not in new else "UPDATE"
        kind += "_REPLACE" if key in replaces else ""
        details[key] = provider_pb2.PropertyDiff(
            kind=provider_pb2.PropertyDiff.Kind.Value(kind), inputDiff=True
        )
    response = provider_pb2.DiffResponse
    return response(
        changes=response.DIFF_SOME if changed else response.DIFF_NONE,
        diffs=changed,
        replaces=[key for key in changed if key in replaces],
        detailedDiff=details,
        hasDetailedDiff=True,
    )


def _guarded(
    method: Callable[[Plugin, _Request, grpc.ServicerContext], _Response],
) -> Callable[[Plugin, _Request, grpc.ServicerContext], _Response]:
    """Convert a ProviderError to the gRPC status whose message the engine shows."""

    @functools.wraps(method)
    def call(self: Plugin, request: _Request, context: grpc.ServicerContext) -> _Response:
        try:
            return method(self, request, context)
        except ProviderError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))

    return call


def _fail_partially(
    error: PartialError, kind: type[Resource], context: grpc.ServicerContext
) -> NoReturn:
    """Fail with the state of the resource that exists nevertheless."""
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=error.identifier,
            reasons=[str(error)],
            properties=encode(error.state, kind.secret_outputs),
        )
    )
    # The key under which gRPC looks for a status with details, in all its languages:
    # https://grpc.io/docs/guides/error/
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    raise error


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    """A resource plugin.

    The handshake declines secrets: the engine then unwraps them before each call, and marks results
    of the same name as secret again. So only secrets that the plugin creates are marked here.

    The engine calls no provider whose own configuration is unknown, as in a first preview.

    Args:
        package: The Pulumi package's name; the version is that of its installed SDK.
        kinds: The resource types.
        configure: Returns the configuration of resources, from a provider's arguments.
    """

    def __init__(
        self,
        package: str,
        kinds: Iterable[type[Resource]],
        configure: Callable[[Properties], Mapping[str, str]],
    ) -> None:
        self.package = package
        self.kinds = {kind.token(package): kind for kind in kinds}
        self._configure = configure
        self._config: Mapping[str, str] = {}

    def serve(self, description: str) -> NoReturn:
        """Serve until the engine ends this process.

        Args:
            description: What this stands in for, and what it does not cover; for --help.
        """
        serving.arguments(description)
        serving.serve(
            functools.partial(provider_pb2_grpc.add_ResourceProviderServicer_to_server, self)
        )
        os._exit(0)

    def _kind(self, token: str) -> type[Resource]:
        if token not in self.kinds:
            raise ProviderError(f"this stand-in has no {token}, only {', '.join(self.kinds)}")
        return self.kinds[token]

    @override
    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=False)

    @override
    def GetPluginInfo(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> plugin_pb2.PluginInfo:
        from importlib.metadata import version  # slow to import, and rarely needed

        return plugin_pb2.PluginInfo(version=version(f"pulumi-{self.package}"))

    @override
    def GetSchema(
        self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        return provider_pb2.GetSchemaResponse(schema="{}")

    @override
    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    @override
    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        return provider_pb2.CheckResponse(inputs=request.news)

    @override
    def DiffConfig(
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        return difference(decode(request.old_inputs), decode(request.news))

    @override
    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        self._config = self._configure(decode(request.args))
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    @override
    @_guarded
    def Check(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        kind, old, new = self._kind(request.type), decode(request.olds), decode(request.news)
        if kind.autonamed and "name" not in new:
            # The engine's own autonaming has seven digits too.
            new["name"] = old.get("name") or f"{request.name}-{request.randomSeed.hex()[:7]}"
        failures = [(key, "unknown property") for key in sorted({*new} - {*kind.inputs})]
        failures += [
            (key, "missing required property") for key in sorted({*kind.required} - {*new})
        ]
        if not failures:
            known = {key: value for key, value in new.items() if not holds_unknown(value)}
            failures += kind(self._config).check(known)
        return provider_pb2.CheckResponse(
            inputs=encode(new),
            failures=[
                provider_pb2.CheckFailure(property=key, reason=reason) for key, reason in failures
            ],
        )

    @override
    @_guarded
    def Diff(
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        replaces = self._kind(request.type).replaces
        return difference(decode(request.old_inputs), decode(request.news), replaces)

    @override
    @_guarded
    def Create(
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        kind, inputs = self._kind(request.type), decode(request.properties)
        resource = kind(self._config)
        if request.preview:
            identifier, state = "", resource.planned(inputs, {})
        else:
            try:
                identifier, state = resource.create(inputs)
            except PartialError as error:
                _fail_partially(error, kind, context)
        return provider_pb2.CreateResponse(
            id=identifier, properties=encode(state, kind.secret_outputs)
        )

    @override
    @_guarded
    def Read(
        self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ReadResponse:
        kind, state, inputs = (
            self._kind(request.type),
            decode(request.properties),
            decode(request.inputs),
        )
        current = kind(self._config).read(request.id, state, inputs)
        if current is None:
            # A response without ID means that the resource is gone.
            return provider_pb2.ReadResponse()
        state, inputs = current
        return provider_pb2.ReadResponse(
            id=request.id, properties=encode(state, kind.secret_outputs), inputs=encode(inputs)
        )

    @override
    @_guarded
    def Update(
        self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        kind, state, inputs = self._kind(request.type), decode(request.olds), decode(request.news)
        resource = kind(self._config)
        if request.preview:
            state = resource.planned(inputs, state)
        else:
            try:
                state = resource.update(request.id, state, inputs)
            except PartialError as error:
                _fail_partially(error, kind, context)
        return provider_pb2.UpdateResponse(properties=encode(state, kind.secret_outputs))

    @override
    @_guarded
    def Delete(
        self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        self._kind(request.type)(self._config).delete(request.id, decode(request.properties))
        return empty_pb2.Empty()
