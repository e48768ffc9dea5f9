"""The registry's workload: its configuration, pods and Service."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.credentials import RegistryUser
from components.metadata import SKIP_AWAIT
from components.network import PORT, REDIRECT_PORT, REGISTRY_LABELS
from components.registry.auth_proxy import auth_proxy_config
from components.registry.config import credentials_file, registry_config
from components.registry.network_policies import (
    NetworkPoliciesArgs,
    network_policies,
    registry_policy,
)
from components.registry.page import page_files
from components.registry.pod import (
    CONFIG_FILES,
    NAME,
    PROXY_CONFIG_FILE,
    PodArgs,
    pod_spec,
)
from components.registry.user_rules import ProxyUser
from components.script_files import config_map
from components.storage import StorageConnection, check_storage
from settings.immutable import ImmutableRule
from settings.names import CACHE_FOLDER
from settings.schema import IngressSettings, RegistrySettings, WebhookSettings
from settings.tls import TlsCertManager, TlsNone, TlsSettings

ROLLOUT_TIMEOUT = "3m"
"""A pod that is not ready by then never will be; the provider's default is 10 min."""


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    """What the registry runs with.

    Attributes:
        maintenance: The user who makes the registry forget what is deleted.
        http_secret: Signs the state of uploads; secret.
        caches: The names of the caches of other registries.
    """

    settings: RegistrySettings
    namespace: kubernetes.core.v1.Namespace
    ingress: IngressSettings
    tls: TlsSettings
    check_image: str
    storage: StorageConnection
    users: Sequence[RegistryUser]
    admin_user: str
    immutable: Mapping[str, ImmutableRule]
    maintenance: RegistryUser
    http_secret: pulumi.Input[str]
    webhooks: Mapping[str, WebhookSettings]
    metrics: bool
    scan: bool
    page: bool
    caches: Sequence[str]


class Registry(pulumi.ComponentResource):
    """The registry, which serves plain HTTP inside the cluster.

    Attributes:
        service: The name of its Service. The port ``http`` is the registry's; the port ``redirect``
            redirects to HTTPS.
        generation: A number that each rollout changes, known once the rollout has succeeded.
        storage_key: The name of the Secret with the shared credentials file of the storage key.
    """

    namespace: pulumi.Output[str]
    service: str
    url: pulumi.Output[str]
    generation: pulumi.Output[int]
    storage_key: pulumi.Output[str]

    def __init__(
        self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Registry", name, None, opts)
        self._name, self._args = name, args
        self.service = NAME
        self.namespace = args.namespace.metadata.name
        self.url = pulumi.Output.format("http://{0}.{1}.svc:{2}", NAME, self.namespace, PORT)
        self._child = pulumi.ResourceOptions(parent=self, deleted_with=args.namespace)
        self._service()
        deployment = self._deployment()
        if args.settings.replicas > 1:
            self._disruption_budget()
        self.generation = deployment.metadata.generation
        self.register_outputs(
            {
                "namespace": self.namespace,
                "service": self.service,
                "url": self.url,
                "generation": self.generation,
            }
        )

    def _secret(
        self, purpose: str, files: dict[str, pulumi.Output[str]], opts: pulumi.ResourceOptions
    ) -> pulumi.Output[str]:
        """Create a Secret with files of the registry's, and return its name.

        The auth proxy notices a change of its configuration, and the registries read theirs only
        when they start. So the former is updated in place, while the others are immutable and
        auto-named: a change of them changes the pods, which rolls them out.
        """
        mutable = purpose == "auth-proxy"
        return kubernetes.core.v1.Secret(
            f"{self._name}-{purpose}",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name=f"{NAME}-{purpose}" if mutable else None,
                namespace=self.namespace,
                labels=REGISTRY_LABELS,
            ),
            immutable=not mutable,
            string_data=files,
            opts=opts,
        ).metadata.name

    def _secrets(self) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """Create the Secrets with the registries' configuration and the storage key."""
        storage = self._args.storage
        connection = pulumi.Output.all(
            endpoint=storage.endpoint,
            region=storage.region,
            bucket=storage.bucket,
            path_style=storage.path_style,
            root_directory=storage.root_directory,
            redirect=self._args.settings.redirect,
            http_secret=self._args.http_secret,
        )

        def config(container: str) -> pulumi.Output[str]:
            return connection.apply(
                lambda args: registry_config(
                    memory=container == NAME,
                    webhooks=self._args.webhooks,
                    metrics=self._args.metrics,
                    **args,
                )
            )

        credentials = pulumi.Output.all(
            access_key=storage.access_key, secret_key=storage.secret_key
        ).apply(lambda args: credentials_file(**args))
        configs = {file: config(name) for name, file in CONFIG_FILES.items()}
        return (
            self._secret("config", configs, self._child),
            self._secret("storage-key", {"credentials": credentials}, self._child),
        )

    def _proxy_config(self) -> pulumi.Output[str]:
        users = [self._args.maintenance, *self._args.users]

        def config(hashes: Sequence[Sequence[str]]) -> str:
            maintenance, *others = (
                ProxyUser(
                    name=user.username,
                    password_hash=current,
                    previous_hash=previous,
                    push=user.push,
                    pull=user.pull,
                    ends=user.ends,
                )
                for user, (current, previous) in zip(users, hashes, strict=True)
            )
            return self._proxy_for(others, maintenance, read_only=self._args.settings.read_only)

        pairs = (pulumi.Output.all(user.password_hash, user.previous_hash) for user in users)
        return pulumi.Output.all(*pairs).apply(config)

    def _proxy_for(
        self, users: Sequence[ProxyUser], maintenance: ProxyUser, *, read_only: bool
    ) -> str:
        args = self._args
        tls = not isinstance(args.tls, TlsNone)
        return auth_proxy_config(
            users=users,
            maintenance=maintenance,
            read_only=read_only,
            metrics=args.metrics,
            parallel_uploads=args.settings.parallel_uploads,
            tls=tls,
            tcp_route=tls and args.ingress.by_tcp_route,
            immutable=args.immutable,
            admin=args.admin_user,
            page=args.page,
            caches=args.caches,
            scan=args.scan,
        )

    def _proxy_checksum(self) -> str:
        """Return a checksum of the auth proxy's configuration with one user instead of all.

        Running pods read new users, and the smoke test's password shows that they did. Nothing
        shows that of another change, so it rolls the pods, which repeats the smoke test.
        """
        nobody = ProxyUser(name="", password_hash="", previous_hash="", push=["*"], pull=[])
        config = self._proxy_for([nobody], nobody, read_only=False)
        return hashlib.sha256(config.encode()).hexdigest()

    def _deployment(self) -> kubernetes.apps.v1.Deployment:
        args = self._args
        config, self.storage_key = self._secrets()
        connections = NetworkPoliciesArgs(
            namespace=self.namespace,
            ingress=args.ingress,
            cert_manager=isinstance(args.tls, TlsCertManager),
            storage_endpoint=args.storage.endpoint,
            redirect=args.settings.redirect,
            webhooks=[webhook.url for webhook in args.webhooks.values()],
        )
        policies = network_policies(self._name, connections, self._child)
        check = check_storage(
            f"{self._name}-storage-check",
            args.storage,
            namespace=self.namespace,
            image=args.check_image,
            key_secret=self.storage_key,
            hidden=[f"{CACHE_FOLDER}/{cache}" for cache in args.caches],
            opts=pulumi.ResourceOptions(parent=self, depends_on=policies),
        )
        checked = pulumi.ResourceOptions.merge(
            self._child, pulumi.ResourceOptions(depends_on=[check])
        )
        policies = [*policies, registry_policy(self._name, connections, checked)]
        # Running pods read it at once, and a cache must not hide images.
        proxy = self._secret("auth-proxy", {PROXY_CONFIG_FILE: self._proxy_config()}, checked)
        page = None
        if args.page:
            page = config_map(
                f"{self._name}-page", self.namespace, REGISTRY_LABELS, page_files(), self._child
            )
        return kubernetes.apps.v1.Deployment(
            f"{self._name}-deployment",
            metadata={"name": NAME, "namespace": self.namespace, "labels": REGISTRY_LABELS},
            spec={
                "replicas": args.settings.replicas,
                "selector": {"match_labels": REGISTRY_LABELS},
                "strategy": {"rolling_update": {"max_surge": 1, "max_unavailable": 0}},
                "template": {
                    "metadata": {
                        "labels": REGISTRY_LABELS,
                        "annotations": {"registry/auth-proxy": self._proxy_checksum()},
                    },
                    "spec": pod_spec(
                        PodArgs(
                            settings=args.settings,
                            config_secret=config,
                            storage_key_secret=self.storage_key,
                            proxy_secret=proxy,
                            metrics=args.metrics,
                            findings=args.metrics and args.scan,
                            page=page,
                        )
                    ),
                },
            },
            # Deleted before its namespace, unlike the rest: Kubernetes looks again at a namespace
            # with pods only after half of their grace period.
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*policies, check],
                custom_timeouts=pulumi.CustomTimeouts(
                    create=ROLLOUT_TIMEOUT, update=ROLLOUT_TIMEOUT
                ),
            ),
        )

    def _service(self) -> None:
        kubernetes.core.v1.Service(
            f"{self._name}-service",
            metadata={
                "name": NAME,
                "namespace": self.namespace,
                "labels": REGISTRY_LABELS,
                # The awaiter sleeps 10 s after the pods are ready.
                "annotations": SKIP_AWAIT,
            },
            spec={
                "selector": REGISTRY_LABELS,
                "ports": [
                    {"name": name, "port": port, "target_port": name, "protocol": "TCP"}
                    for name, port in (("http", PORT), ("redirect", REDIRECT_PORT))
                ],
            },
            opts=self._child,
        )

    def _disruption_budget(self) -> None:
        kubernetes.policy.v1.PodDisruptionBudget(
            f"{self._name}-disruption-budget",
            metadata={"name": NAME, "namespace": self.namespace, "labels": REGISTRY_LABELS},
            spec={"max_unavailable": 1, "selector": {"match_labels": REGISTRY_LABELS}},
            opts=self._child,
        )
