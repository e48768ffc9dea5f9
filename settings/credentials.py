"""What reaches the cloud and the cluster: the providers' own configuration keys."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pulumi_digitalocean as digitalocean
import pulumi_kubernetes as kubernetes
import yaml
from pydantic.alias_generators import to_camel, to_snake

from settings.problems import Problem

API_ENDPOINT = "https://api.digitalocean.com"
SPACES_ENDPOINT = "https://{{.Region}}.digitaloceanspaces.com"
"""Both from https://www.pulumi.com/registry/packages/digitalocean/installation-configuration/"""

PROVIDERS = {"digitalocean": digitalocean.ProviderArgs, "kubernetes": kubernetes.ProviderArgs}

DECIDED_HERE = {
    *("cluster_identifier", "enable_config_map_mutable", "enable_secret_mutable"),
    *("enable_server_side_apply", "upsert_existing_objects"),
    # They write files instead of changing a cluster, so that no registry could be tested.
    *("render_yaml_to_directory", "always_render"),
}
"""Arguments of the Kubernetes provider that this program depends on, and sets itself."""

SECRETS = ("digitalocean:token", "digitalocean:spacesSecretKey")
"""The keys that must be encrypted; a kubeconfig must be, if it is no path."""

CONTENTS = r"[\n{]"
"""What the contents of a kubeconfig have, and no path of one."""


@dataclass(frozen=True, kw_only=True)
class CloudAccess:
    """What reaches the cloud and the cluster.

    What is configured becomes part of the state. What is in the environment does not, except the
    URLs DIGITALOCEAN_API_URL and SPACES_ENDPOINT_URL: each command finds it there again, as the
    providers do by themselves.

    Attributes:
        digitalocean: Arguments for the cloud's providers.
        kubernetes: Arguments for the cluster's provider; ``kubeconfig`` holds contents.
        token: DigitalOcean's API token, configured or from the environment; empty if there is none.
    """

    digitalocean: Mapping[str, Any] = field(repr=False)
    kubernetes: Mapping[str, Any] = field(repr=False)
    token: str = field(repr=False)

    @property
    def has_spaces_key(self) -> bool:
        """Whether the user brings a Spaces key.

        This follows from the configuration alone: a variable of one shell must not decide which
        keys the stack has. Only the secret may be in the environment.
        """
        return "spaces_access_id" in self.digitalocean

    @property
    def api_endpoint(self) -> str:
        """The URL of DigitalOcean's API."""
        return str(self.digitalocean["api_endpoint"])

    @property
    def spaces_endpoint(self) -> str:
        """The URL of Spaces; ``{{.Region}}`` in it stands for the region."""
        return str(self.digitalocean["spaces_endpoint"])


def find_access(
    config: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[CloudAccess, list[Problem]]:
    """Read the providers' configuration keys, which come before the environment.

    Return what was found, and the keys that no provider has or whose values no provider takes.
    """
    problems: list[Problem] = []
    arguments: dict[str, dict[str, Any]] = {name: {} for name in PROVIDERS}
    for key, text in config.items():
        package, _, name = key.partition(":")
        if package in PROVIDERS:
            value = _value(package, name, text)
            if isinstance(value, Problem):
                problems.append(value)
            else:
                arguments[package][to_snake(name)] = value
    cloud = {
        "api_endpoint": environment.get("DIGITALOCEAN_API_URL") or API_ENDPOINT,
        "spaces_endpoint": environment.get("SPACES_ENDPOINT_URL") or SPACES_ENDPOINT,
    } | arguments["digitalocean"]
    token = (
        cloud.get("token")
        or environment.get("DIGITALOCEAN_TOKEN")
        or environment.get("DIGITALOCEAN_ACCESS_TOKEN")
    )
    access = CloudAccess(digitalocean=cloud, kubernetes=arguments["kubernetes"], token=token or "")
    return access, problems


def missing_access(access: CloudAccess, environment: Mapping[str, str]) -> list[Problem]:
    """Return what is missing to create a Space."""
    secret = access.digitalocean.get("spaces_secret_key")
    somewhere = secret or environment.get("SPACES_SECRET_ACCESS_KEY")
    problems = []
    if not access.token:
        expected = "expected a DigitalOcean API token, here or as DIGITALOCEAN_TOKEN in the shell"
        problems.append(_unset("--secret digitalocean:token", expected))
    if access.has_spaces_key and not somewhere:
        expected = (
            "expected the secret of the Spaces key digitalocean:spacesAccessId, here or as "
            "SPACES_SECRET_ACCESS_KEY in the shell"
        )
        problems.append(_unset("--secret digitalocean:spacesSecretKey", expected))
    if secret and not access.has_spaces_key:
        expected = "expected the ID of the Spaces key whose secret is digitalocean:spacesSecretKey"
        problems.append(_unset("digitalocean:spacesAccessId", expected))
    return problems


def _unset(arguments: str, expected: str) -> Problem:
    fix = f"pulumi config set {arguments}"
    return Problem(arguments.split()[-1], "(not set)", expected, fix)


def provider_keys(package: str) -> dict[str, Any]:
    """Return the keys that a provider has, with the type of each."""
    return {
        to_camel(name): get_args(parameter.annotation)[0]
        for name, parameter in inspect.signature(PROVIDERS[package]).parameters.items()
    }


def _value(package: str, name: str, text: str) -> object:
    """Return a key's value as the provider takes it, or what is wrong with it."""
    key = f"{package}:{name}"
    known = provider_keys(package)
    remove = f"pulumi config rm {key}"
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = (
            f"the nearest known one is {package}:{near[0]}"
            if near
            else f"known: {', '.join(known)}"
        )
        return Problem(key, "[secret]", f"unknown key; {hint}", remove)
    if to_snake(name) in DECIDED_HERE:
        return Problem(key, text, "this program decides it", remove)
    if key == "kubernetes:kubeconfig":
        return _kubeconfig(text)
    expected = known[name]
    if expected is str:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    # Objects are described by classes of the SDK.
    kinds: dict[object, list[type]] = {bool: [bool], int: [int], float: [int, float]}
    if type(value) not in kinds.get(expected, [dict]):
        wanted = expected.__name__ if expected in kinds else "object"
        return Problem(key, json.dumps(value), f"expected a value of type {wanted}", remove)
    return value


def _kubeconfig(text: str) -> str | Problem:
    """Return the contents of a kubeconfig, given them or a path as the provider takes both.

    A path would tie the state to one machine.
    """
    try:
        if isinstance(yaml.safe_load(text), dict):
            return text
        return Path(text).expanduser().read_text()
    except (OSError, RuntimeError, ValueError, yaml.YAMLError):
        return Problem(
            "kubernetes:kubeconfig",
            "[secret]",
            "expected the contents of a kubeconfig, or the path of one on this machine",
            "pulumi config set --secret kubernetes:kubeconfig < kubeconfig",
        )
