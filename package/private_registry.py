"""The registry as a component of other programs, in any of Pulumi's languages."""

# Annotations are types here, not text: the host of the component makes its schema of them.
import json
import os
from collections.abc import Mapping
from typing import get_args

import pulumi
from pulumi.runtime.config import CONFIG

import components
import preflight
from package.inputs import PrivateRegistryArgs
from prerequisites import prerequisites
from settings import Settings, load
from settings.section import Section

PACKAGE = "registry"


def nested(kind: object, inputs: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Return flat inputs as the configuration has them, with a section for each prefix.

    Args:
        kind: A section of the settings, or a union of kinds of it.
        inputs: The inputs by their Python names.
        prefix: What the names of the section's inputs start with.
    """
    config: dict[str, object] = {}
    for section in get_args(kind) or [kind]:
        if isinstance(section, type) and issubclass(section, Section):
            for name, field in section.model_fields.items():
                inner = nested(field.annotation, inputs, f"{prefix}{name}_")
                value = inputs.get(f"{prefix}{name}", inner or None)
                if value is not None:
                    config[str(field.alias)] = value
    return config


def as_configured(value: object) -> str:
    """Return an input as the engine hands a program its configuration.

    A host gets whole numbers as floating-point ones, and loses the conversion back:
    https://github.com/pulumi/pulumi/blob/v3.272.0/sdk/python/lib/pulumi/provider/experimental/component.py
    """
    if isinstance(value, str):
        return value
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    whole = json.loads(text, parse_float=lambda number: int(float(number)))
    return json.dumps(whole, sort_keys=True, separators=(",", ":"))


def _without_callers(config: Mapping[str, str]) -> dict[str, str]:
    """Return a configuration without the own keys of a caller's project of the package's name."""
    return {key: text for key, text in config.items() if not key.startswith(f"{PACKAGE}:")}


_NAMES: list[str] = []
"""The names of the registries that this process has been asked for."""


def refuse_second(name: str) -> None:
    """Refuse a second registry in a stack.

    The state has one record of the cluster and one of where the images are, and the names of
    resources, by which operations.md replaces them, are the same in every stack.

    Raises:
        pulumi.RunError: With what to do instead.
    """
    _NAMES.append(name)
    if _NAMES[0] != name:
        raise pulumi.RunError(
            f'a stack can have one PrivateRegistry: "{_NAMES[0]}" is one, so "{name}" is refused. '
            "Create it by a stack of its own: pulumi stack init <name>"
        )


class PrivateRegistry(components.PrivateRegistry):
    """A private container registry on k3s that keeps its images in a DigitalOcean Space.

    One per stack: a second one is refused. The API token is digitalocean:token of the stack's
    configuration, or DIGITALOCEAN_TOKEN; the cluster is that of kubernetes:kubeconfig, or of the
    shell's kubeconfig.
    """

    def __init__(
        self,
        name: str,
        args: PrivateRegistryArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        refuse_second(name)
        # A program has its configuration in the environment; a host is handed that of its caller.
        config = _without_callers(pulumi.runtime.get_config_env() | CONFIG.get())
        secret_keys = {key for key in config if pulumi.runtime.is_config_secret(key)}
        secret_keys.update(config.keys() & pulumi.runtime.get_config_secret_keys_env())
        for key, value in nested(Settings, args).items():
            config[f"{PACKAGE}:{key}"] = as_configured(value)
        settings, access = load(config, frozenset(secret_keys), os.environ, PACKAGE)
        registry_args, own = prerequisites(settings, access, preflight.ask(settings, access))
        super().__init__(name, registry_args, pulumi.ResourceOptions.merge(opts, own))
