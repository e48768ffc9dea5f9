"""A private container registry on k3s that keeps its images in a DigitalOcean Space."""

import os

import pulumi

import outputs
from components import PrivateRegistry, PrivateRegistryArgs
from components.providers import cluster_provider, spaces_provider
from components.storage import storage_record
from preflight import check_cluster
from settings import load

settings, access = load(
    config=pulumi.runtime.get_config_env(),
    secret_keys=frozenset(pulumi.runtime.get_config_secret_keys_env()),
    environment=os.environ,
    project=pulumi.get_project(),
)
stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
check_cluster(settings, access, stack)

record = storage_record(settings.storage, access.spaces_endpoint)
providers: list[pulumi.ProviderResource] = [cluster_provider(access, record)]
if settings.storage.kind == "spaces":
    providers.append(spaces_provider(access, record))
registry = PrivateRegistry(
    "private-registry",
    PrivateRegistryArgs(settings=settings, stack=stack, spaces_endpoint=access.spaces_endpoint),
    opts=pulumi.ResourceOptions(providers=providers),
)
outputs.export(settings, registry)
