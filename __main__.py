"""A private container registry on k3s that keeps its images in a DigitalOcean Space."""

import os

import pulumi

import outputs
import preflight
from components import PrivateRegistry, PrivateRegistryArgs
from components.namespace import registry_namespace
from components.providers import account_provider, cluster_provider, spaces_provider
from settings import load
from settings.problems import explained_errors

stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
with explained_errors():
    settings, access = load(
        config=pulumi.runtime.get_config_env(),
        secret_keys=frozenset(pulumi.runtime.get_config_secret_keys_env()),
        environment=os.environ,
        project=pulumi.get_project(),
    )
    cluster_identifier = preflight.run(settings, access, stack)
    addresses = preflight.dns_addresses(settings, access)

cluster = cluster_provider(access, cluster_identifier)
namespace = registry_namespace(settings.namespace, stack, cluster)
providers: list[pulumi.ProviderResource] = [cluster]
if settings.storage.kind == "spaces":
    providers.append(spaces_provider(access, namespace))
elif settings.dns.zone:
    providers.append(account_provider(access, namespace))
registry = PrivateRegistry(
    "private-registry",
    PrivateRegistryArgs(
        settings=settings,
        namespace=namespace,
        stack=stack,
        access=access,
        addresses=addresses,
    ),
    opts=pulumi.ResourceOptions(providers=providers),
)
outputs.export(settings, registry)
