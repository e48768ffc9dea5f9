"""A private container registry on k3s that keeps its images in a DigitalOcean Space."""

import os
import sys

import pulumi

import outputs
from components import PrivateRegistry, PrivateRegistryArgs
from components.providers import cluster_provider, spaces_provider
from preflight import check_cluster
from settings import SettingsError, load

stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
try:
    settings, access = load(
        config=pulumi.runtime.get_config_env(),
        secret_keys=frozenset(pulumi.runtime.get_config_secret_keys_env()),
        environment=os.environ,
        project=pulumi.get_project(),
    )
    check_cluster(settings, access, stack)
except SettingsError as error:
    pulumi.log.error(str(error))
    # Nothing else would keep the engine from reporting an unhandled error after that one:
    # https://github.com/pulumi/pulumi/blob/v3.259.0/sdk/python/cmd/pulumi-language-python-exec
    sys.exit(32)

providers: list[pulumi.ProviderResource] = [cluster_provider(access)]
if settings.storage.kind == "spaces":
    providers.append(spaces_provider(access))
registry = PrivateRegistry(
    "private-registry",
    PrivateRegistryArgs(settings=settings, stack=stack, spaces_endpoint=access.spaces_endpoint),
    opts=pulumi.ResourceOptions(providers=providers),
)
outputs.export(settings, registry)
