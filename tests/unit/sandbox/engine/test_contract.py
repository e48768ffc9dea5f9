"""The stand-ins against the published SDKs, whose programs they serve."""

from __future__ import annotations

import inspect
import re

import pulumi
import pulumi_digitalocean
import pulumi_random
import pytest

from sandbox.engine.plugins import digitalocean_plugin, random_plugin
from sandbox.engine.plugins.resource import Resource
from sandbox.engine.plugins.resource_plugin import Plugin

TYPES = [
    (module, plugin, kind)
    for module, plugin in (
        (pulumi_digitalocean, digitalocean_plugin.PLUGIN),
        (pulumi_random, random_plugin.PLUGIN),
    )
    for kind in plugin.kinds.values()
]

NESTED = {
    "SpacesKeyGrantArgs": {"bucket", "permission"},
    "SpacesBucketVersioningArgs": {"enabled"},
    "SpacesBucketCorsRuleArgs": {
        "allowedHeaders",
        "allowedMethods",
        "allowedOrigins",
        "maxAgeSeconds",
    },
    "SpacesBucketLifecycleRuleArgs": {
        "abortIncompleteMultipartUploadDays",
        "enabled",
        "expiration",
        "id",
        "noncurrentVersionExpiration",
        "prefix",
    },
    "SpacesBucketLifecycleRuleExpirationArgs": {"date", "days", "expiredObjectDeleteMarker"},
    "SpacesBucketLifecycleRuleNoncurrentVersionExpirationArgs": {"days"},
}
"""What space.py turns into S3's own names."""


def names(kind: type) -> dict[str, str]:
    """Return the properties of a class of the SDK: names in camelCase, by those in Python."""
    inherited = dir(pulumi.CustomResource)
    return {
        name: getattr(member.fget, "_pulumi_name", name)
        for name, member in inspect.getmembers(kind, lambda member: isinstance(member, property))
        if name not in inherited or not issubclass(kind, pulumi.Resource)
    }


def arguments(module: object, kind: type[Resource]) -> type:
    args: type = getattr(module, f"{kind.__name__}Args")
    return args


@pytest.mark.parametrize(("module", "plugin", "kind"), TYPES)
class TestEachType:
    def test_has_the_token_of_the_sdk(
        self, module: object, plugin: Plugin, kind: type[Resource]
    ) -> None:
        published = getattr(module, kind.__name__).pulumi_type
        assert kind.token(plugin.package) == published, "the engine would not find the type"

    def test_takes_the_inputs_of_the_sdk(
        self, module: object, plugin: Plugin, kind: type[Resource]
    ) -> None:
        published = set(names(arguments(module, kind)).values())
        assert set(kind.inputs) == published, (
            f"{plugin.package}: a program may use any input that the SDK has"
        )

    def test_requires_what_the_sdk_requires(
        self, module: object, plugin: Plugin, kind: type[Resource]
    ) -> None:
        published = arguments(module, kind)
        required = {
            names(published)[name]
            for name, parameter in inspect.signature(published).parameters.items()
            if parameter.default is inspect.Parameter.empty
        }
        assert set(kind.required) == required, (
            f"{plugin.package}: an input that upstream misses must be missed here"
        )

    def test_has_the_outputs_of_the_sdk(
        self, module: object, plugin: Plugin, kind: type[Resource]
    ) -> None:
        published = set(names(getattr(module, kind.__name__)).values())
        assert set(kind.outputs) == published - set(kind.inputs), (
            f"{plugin.package}: a program would wait for an output that never comes"
        )

    def test_keeps_secret_what_the_sdk_does(
        self, module: object, plugin: Plugin, kind: type[Resource]
    ) -> None:
        source = inspect.getsource(getattr(module, kind.__name__))
        match = re.search(r"additional_secret_outputs=\[(.*?)\]", source)
        published = set(re.findall(r'"(\w+)"', match[1])) if match else set()
        assert set(kind.secret_outputs) == published, (
            f"{plugin.package}: the state would have a secret in the clear, or hide what is none"
        )


@pytest.mark.parametrize(("name", "properties"), NESTED.items())
def test_nested_arguments_are_those_of_the_sdk(name: str, properties: set[str]) -> None:
    published = set(names(getattr(pulumi_digitalocean, name)).values())
    assert properties == published, "a setting would never reach the S3 server"


def test_the_provider_is_configured_by_the_keys_of_the_sdk() -> None:
    published = set(names(pulumi_digitalocean.ProviderArgs).values())
    assert set(digitalocean_plugin.ENVIRONMENT) == published


def test_the_random_provider_has_nothing_to_configure() -> None:
    assert not names(pulumi_random.ProviderArgs)
