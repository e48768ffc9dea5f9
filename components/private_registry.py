"""The whole registry as one component: storage, users, workload, ingress, and who may pull."""

# Annotations are types here, not text: a host of components makes a schema of them (package/).
import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random

from components.backup import Backup, BackupArgs, report_backup
from components.credentials import Credentials, CredentialsArgs, RegistryUser
from components.dns import dns_records
from components.ingress import AcmeClient, AcmeClientArgs, Ingress, IngressArgs, report_ingress
from components.maintenance import Maintenance, MaintenanceArgs, report_usage
from components.monitoring import Monitoring, MonitoringArgs
from components.nodes import (
    NodeConfigurator,
    NodeConfiguratorArgs,
    cloud_init,
    registries_yaml,
)
from components.pull_secrets import pull_secrets
from components.registry import Cache, CacheArgs, Registry, RegistryArgs
from components.reports import REPORTS, reports
from components.scan import Scan, ScanArgs
from components.smoke_test import smoke_test_job
from components.storage import Space, SpaceArgs, StorageConnection, existing_bucket
from settings import Settings
from settings.credentials import CloudAccess
from settings.names import CACHE_FOLDER


@dataclass(frozen=True, kw_only=True)
class PrivateRegistryArgs:
    """What the registry is made of.

    Attributes:
        stack: The full name of the stack.
        cluster: The UID of the cluster.
        addresses: What DNS records lead the hostname to.
        why_no_certificate: Returns what the cluster says of a certificate that is missing.
    """

    settings: Settings
    namespace: kubernetes.core.v1.Namespace
    stack: str
    cluster: pulumi.Input[str]
    access: CloudAccess
    addresses: Sequence[str]
    prometheus_operator: bool
    why_no_certificate: Callable[[], str]


class PrivateRegistry(pulumi.ComponentResource):
    """A private registry that has passed its smoke test."""

    registry: pulumi.Output[str]
    """The hostname by which clients reach it."""
    namespace: pulumi.Output[str]
    """Its namespace in the cluster."""
    username: pulumi.Output[str]
    """The admin, who may push and pull."""
    password: pulumi.Output[str]
    """The admin's password; secret."""
    pull_username: pulumi.Output[str]
    """Who may only pull."""
    pull_password: pulumi.Output[str]
    """That user's password; secret."""
    users: pulumi.Output[dict[str, str]]
    """The passwords of more users, by name; secret."""
    registries_yaml: pulumi.Output[str]
    """For /etc/rancher/k3s/registries.yaml on nodes; secret."""
    registries_cloud_init: pulumi.Output[str]
    """The same as user data for new nodes; secret."""
    pull_caches: pulumi.Output[list[str]]
    """The repositories that caches of other registries are, such as cache/docker."""
    pull_secrets: pulumi.Output[list[str]]
    """The Secrets that let pods pull, as namespace/name."""
    storage_bucket: pulumi.Output[str]
    """The bucket that holds the images."""
    storage_endpoint: pulumi.Output[str]
    """The URL of its S3 server."""
    storage_connection: pulumi.Output[dict[str, str]]
    """The bucket and its storage key, for scripts; secret."""

    def __init__(
        self, name: str, args: PrivateRegistryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:PrivateRegistry", name, None, opts)
        self._args = args
        settings = args.settings
        child = pulumi.ResourceOptions(parent=self)
        storage = self._storage(child)
        users = Credentials(
            "credentials",
            CredentialsArgs(
                admin_user=settings.admin_user,
                pull_user=settings.pull_user,
                users=settings.users,
                rotation=settings.rotation,
                read_only=settings.registry.read_only,
            ),
            opts=child,
        )
        registry = Registry(
            "registry",
            RegistryArgs(
                settings=settings.registry,
                namespace=args.namespace,
                ingress=settings.ingress,
                tls=settings.tls,
                check_image=settings.scripts.image,
                storage=storage,
                users=users.all,
                admin_user=settings.admin_user,
                immutable=settings.immutable,
                maintenance=users.maintenance,
                http_secret=users.http_secret,
                webhooks=settings.webhooks,
                metrics=settings.monitoring.enabled,
                scan=settings.scan.enabled,
                page=settings.page.enabled,
                caches=[*settings.cache],
            ),
            opts=child,
        )
        for cache, cached in settings.cache.items():
            Cache(
                cache,
                CacheArgs(
                    settings=cached,
                    namespace=registry.namespace,
                    image=settings.registry.image,
                    redirect=settings.registry.redirect,
                    storage=storage,
                    key_secret=registry.storage_key,
                ),
                # Not before the storage is known to work, and images to be outside of it.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[registry]),
            )
        self._ingress(registry, child)
        self._look_after(storage, users, registry, child)
        smoke_test = smoke_test_job(
            "smoke-test",
            namespace=registry.namespace,
            url=registry.url,
            generation=registry.generation,
            replicas=settings.registry.replicas,
            image=settings.scripts.image,
            user=users.smoke_test,
            opts=child,
        )
        if not pulumi.runtime.is_dry_run():
            tested = smoke_test.metadata.name
            tested.apply(self._request_registry)
            reports_of_storage = [
                *([report_usage] if settings.maintenance.enabled else []),
                *([report_backup] if settings.backup else []),
            ]
            for report in reports_of_storage:
                pulumi.Output.all(storage.document, tested).apply(partial(_report, report))
        # A new password must not be used before every pod of the registry knows it.
        known = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[smoke_test]))
        self._nodes(users.pull, known)
        pulling = pull_secrets(settings.pull_secrets, settings.hostname, users.pull, known)
        output = pulumi.Output.from_input
        self.registry, self.namespace = output(settings.hostname), registry.namespace
        self.username, self.password = output(users.admin.username), output(users.admin.password)
        self.pull_username = output(users.pull.username)
        self.pull_password = output(users.pull.password)
        passwords: dict[str, Any] = {user.username: user.password for user in users.named}
        self.users = output(passwords)
        self.pull_caches = output([f"{CACHE_FOLDER}/{cache}" for cache in settings.cache])
        self.pull_secrets = output(pulling)
        self.storage_bucket = output(storage.bucket)
        self.storage_endpoint = output(storage.endpoint)
        self.storage_connection = storage.document
        self.register_outputs(self.outputs())

    def outputs(self) -> dict[str, Any]:
        """Return the outputs by name."""
        return {name: getattr(self, name) for name in PrivateRegistry.__annotations__}

    def _storage(self, child: pulumi.ResourceOptions) -> StorageConnection:
        settings = self._args.settings
        if settings.storage.kind == "s3":
            return existing_bucket(settings.storage)
        return Space(
            "storage",
            SpaceArgs(
                settings=settings.storage,
                access=self._args.access,
                key_name=settings.hostname,
                rotation=settings.rotation,
            ),
            opts=child,
        ).connection

    def _request_registry(self, _: str) -> pulumi.Input[bool]:
        settings = self._args.settings
        url = f"https://{settings.hostname}/v2/"
        return asyncio.to_thread(report_ingress, url, settings.tls, self._args.why_no_certificate)

    def _ingress(self, registry: Registry, child: pulumi.ResourceOptions) -> None:
        settings = self._args.settings
        records: list[pulumi.Resource] = []
        if settings.dns.zone:
            records = dns_records(
                settings.hostname,
                settings.dns.zone,
                self._args.addresses,
                pulumi.ResourceOptions(parent=self),
            )
        if settings.tls.mode == "letsEncrypt":
            AcmeClient(
                "acme-client",
                AcmeClientArgs(
                    tls=settings.tls,
                    ingress=settings.ingress,
                    namespace=registry.namespace,
                    hostname=settings.hostname,
                    image=settings.registry.proxy_image,
                    script_image=settings.scripts.image,
                ),
                # The ACME server looks for the hostname.
                opts=pulumi.ResourceOptions(parent=self, depends_on=records),
            )
        Ingress(
            "ingress",
            IngressArgs(
                settings=settings.ingress,
                tls=settings.tls,
                namespace=registry.namespace,
                hostname=settings.hostname,
                service=registry.service,
            ),
            opts=child,
        )

    def _look_after(
        self,
        storage: StorageConnection,
        users: Credentials,
        registry: Registry,
        child: pulumi.ResourceOptions,
    ) -> None:
        """Create what runs beside the registry: maintenance, copy, scan, metrics."""
        settings = self._args.settings
        # Also without the maintenance, which is a stranger in the bucket if this is made anew.
        identity = random.RandomString("stack-identity", length=20, special=False, opts=child)
        readers = [user.pull for user in users.all] if settings.page.enabled else []
        if settings.page.enabled:
            reports("reports", REPORTS, registry.namespace, child)
        if settings.maintenance.enabled:
            Maintenance(
                "maintenance",
                MaintenanceArgs(
                    settings=settings.maintenance,
                    retention=settings.retention,
                    caches=settings.cache,
                    hostname=settings.hostname,
                    namespace=registry.namespace,
                    image=settings.scripts.image,
                    storage=storage,
                    user=users.maintenance,
                    identity=identity.result,
                    cluster=self._args.cluster,
                    readers=readers,
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
        if settings.backup:
            Backup(
                "backup",
                BackupArgs(
                    settings=settings.backup,
                    namespace=registry.namespace,
                    image=settings.scripts.image,
                    storage=storage,
                ),
                # A bucket for copies that does not work keeps no registry from running.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[registry]),
            )
        if settings.scan.enabled:
            Scan(
                "scan",
                ScanArgs(
                    settings=settings.scan,
                    hostname=settings.hostname,
                    namespace=registry.namespace,
                    image=settings.scripts.image,
                    service=registry.url.apply(lambda url: url.removeprefix("http://")),
                    user=users.pull,
                    layers=storage.endpoint if settings.registry.redirect else "",
                    readers=readers,
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
        if settings.monitoring.enabled:
            Monitoring(
                "monitoring",
                MonitoringArgs(
                    settings=settings.monitoring,
                    namespace=registry.namespace,
                    operator=self._args.prometheus_operator,
                    ends={user.username: user.ends for user in users.named if user.ends},
                    scan=settings.scan.enabled,
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )

    def _nodes(self, user: RegistryUser, opts: pulumi.ResourceOptions) -> None:
        settings, owner = self._args.settings, self._args.settings.nodes_namespace
        only_mirrors = settings.nodes.override_docker_io
        self.registries_yaml = user.password.apply(
            lambda password: registries_yaml(
                settings.nodes,
                settings.cache,
                hostname=settings.hostname,
                username=user.username,
                password=password,
                owner=owner,
            )
        )
        self.registries_cloud_init = self.registries_yaml.apply(
            lambda text: cloud_init(text, owner=owner, only_mirrors=only_mirrors)
        )
        if settings.nodes.configure:
            NodeConfigurator(
                "nodes-configurator",
                NodeConfiguratorArgs(
                    namespace=owner,
                    stack=self._args.stack,
                    image=settings.scripts.image,
                    registries_yaml=self.registries_yaml,
                    only_mirrors=only_mirrors,
                ),
                opts=opts,
            )


def _report(report: Callable[[Mapping[str, str]], None], known: Sequence[Any]) -> Any:  # noqa: ANN401 - an awaitable
    return asyncio.to_thread(report, known[0])
