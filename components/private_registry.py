"""The whole registry as one component: storage, users, workload, ingress, and who may pull."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.credentials import Credentials, CredentialsArgs
from components.dns import dns_records
from components.ingress import AcmeClient, AcmeClientArgs, Ingress, IngressArgs, report_ingress
from components.nodes import Nodes, NodesArgs
from components.pull_secrets import PullSecrets, PullSecretsArgs
from components.registry import Registry, RegistryArgs
from components.smoke_test import SmokeTest, SmokeTestArgs
from components.storage import Space, SpaceArgs, StorageConnection, existing_bucket
from settings import Settings
from settings.credentials import Access


@dataclass(frozen=True, kw_only=True)
class PrivateRegistryArgs:
    """What the registry is made of.

    Attributes:
        settings: All settings.
        namespace: The registry's namespace.
        stack: The full name of the stack.
        access: What reaches the cloud.
        addresses: What DNS records lead the hostname to.
    """

    settings: Settings
    namespace: kubernetes.core.v1.Namespace
    stack: str
    access: Access
    addresses: Sequence[str]


class PrivateRegistry(pulumi.ComponentResource):
    """A private registry that has passed its smoke test.

    Attributes:
        users: The logins.
        storage: Where the images are.
        nodes: The files that let nodes pull.
        pull_secrets: The Secrets that let pods pull.
    """

    users: Credentials
    storage: StorageConnection
    nodes: Nodes
    pull_secrets: PullSecrets

    def __init__(
        self, name: str, args: PrivateRegistryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:PrivateRegistry", name, None, opts)
        self._args = args
        settings = args.settings
        # Before this component existed, its children had no parent.
        child = pulumi.ResourceOptions(
            parent=self, aliases=[pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)]
        )
        self.storage = self._storage(child)
        self.users = Credentials(
            "credentials",
            CredentialsArgs(
                admin_user=settings.admin_user, pull_user=settings.pull_user, users=settings.users
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
                storage=self.storage,
                users=self.users.all,
                http_secret=self.users.http_secret,
            ),
            opts=child,
        )
        self._ingress(registry, child)
        smoke_test = SmokeTest(
            "smoke-test",
            SmokeTestArgs(
                namespace=registry.namespace,
                url=registry.url,
                generation=registry.generation,
                replicas=settings.registry.replicas,
                image=settings.scripts.image,
                user=self.users.smoke_test,
            ),
            opts=child,
        )
        if not pulumi.runtime.is_dry_run():
            smoke_test.job.apply(self._request_from_here)
        self._pulls(child)
        self.register_outputs({"bucket": self.storage.bucket, "url": registry.url})

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
            ),
            opts=child,
        ).connection

    def _request_from_here(self, _: str) -> pulumi.Input[bool]:
        settings = self._args.settings
        tls = settings.tls.mode != "none"
        return asyncio.to_thread(report_ingress, settings.hostname, tls=tls)

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

    def _pulls(self, child: pulumi.ResourceOptions) -> None:
        settings = self._args.settings
        self.nodes = Nodes(
            "nodes",
            NodesArgs(
                settings=settings.nodes,
                hostname=settings.hostname,
                user=self.users.pull,
                namespace=settings.nodes_namespace,
                stack=self._args.stack,
                image=settings.scripts.image,
            ),
            opts=child,
        )
        self.pull_secrets = PullSecrets(
            "pull-secrets",
            PullSecretsArgs(
                settings=settings.pull_secrets, hostname=settings.hostname, user=self.users.pull
            ),
            opts=child,
        )
