"""A private container registry on k3s that keeps its images in a DigitalOcean Space."""

import os

import pulumi

import outputs
import preflight
from components import PrivateRegistry, PrivateRegistryArgs
from components.namespace import registry_namespace
from components.providers import cluster_provider, spaces_provider
from components.storage.new_key import report_others
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

cluster = cluster_provider(access, cluster_identifier)
namespace = registry_namespace(settings.namespace, stack, cluster)
report_other_keys = report_others(access.api_endpoint, access.token)
providers: list[pulumi.ProviderResource] = [cluster]
if settings.storage.kind == "spaces":
    region = settings.storage.region
    providers.append(spaces_provider(access, region, namespace, report_other_keys))
registry = PrivateRegistry(
    "private-registry",
    PrivateRegistryArgs(
        settings=settings,
        namespace=namespace,
        stack=stack,
        spaces_endpoint=access.spaces_endpoint,
        report_other_keys=report_other_keys,
    ),
    opts=pulumi.ResourceOptions(providers=providers),
)
outputs.export(settings, registry)
