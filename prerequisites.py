"""What the registry stands on: a checked cluster and cloud, their providers, and a namespace."""

from __future__ import annotations

from functools import partial

import pulumi

import preflight
from components import PrivateRegistryArgs
from components.namespace import registry_namespace
from components.providers import account_provider, cluster_provider, spaces_provider
from preflight.cluster import Cluster
from scripts.client.why_missing import why_missing
from settings import Settings
from settings.credentials import CloudAccess


def prerequisites(
    settings: Settings, access: CloudAccess, cluster: Cluster
) -> tuple[PrivateRegistryArgs, pulumi.ResourceOptions]:
    """Check and create what comes before the registry; return what it is made of.

    Raises:
        SettingsError: With everything that is in the way.
    """
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    identifier, refuse_existing = preflight.run(settings, access, cluster, stack)
    addresses = preflight.dns_addresses(settings, cluster)
    kubernetes = cluster_provider(access, identifier)
    namespace = registry_namespace(
        settings.namespace,
        stack,
        pulumi.ResourceOptions(provider=kubernetes, transformations=[refuse_existing]),
    )
    providers: list[pulumi.ProviderResource] = [kubernetes]
    if settings.storage.kind == "spaces":
        providers.append(spaces_provider(access, namespace, settings.rotation))
    elif settings.dns.zone:
        providers.append(account_provider(access, namespace))
    args = PrivateRegistryArgs(
        settings=settings,
        namespace=namespace,
        stack=stack,
        cluster=identifier,
        access=access,
        addresses=addresses,
        prometheus_operator=preflight.knows_prometheus_operator(settings, cluster),
        why_no_certificate=partial(
            why_missing, settings.tls.mode, settings.hostname, settings.namespace, cluster.told
        ),
    )
    return args, pulumi.ResourceOptions(providers=providers, transformations=[refuse_existing])
