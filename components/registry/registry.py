"""The registry's workload: its configuration, pods and Service."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.metadata import SKIP_AWAIT
from components.registry.config import PORT, credentials_file, registry_config
from components.registry.network_policies import (
    LABELS,
    NetworkPoliciesArgs,
    network_policies,
)
from components.registry.pod import NAME, PodArgs, pod_spec
from components.storage import StorageCheck, StorageCheckArgs, StorageConnection
from settings.schema import RegistrySettings

ROLLOUT_TIMEOUT = "3m"
"""A pod that is not ready by then never will be; the provider's default is 10 min."""


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    """What the registry runs with.

    Attributes:
        settings: The workload's settings.
        namespace: The namespace to run in.
        controller_namespace: The namespace of the ingress controller's pods.
        check_image: The storage check's image, with Python 3.9 or newer as ``python3``.
        storage: The storage that holds the images.
        htpasswd: The lines of all users; secret.
        http_secret: Signs the state of uploads; secret.
    """

    settings: RegistrySettings
    namespace: kubernetes.core.v1.Namespace
    controller_namespace: str
    check_image: str
    storage: StorageConnection
    htpasswd: pulumi.Input[str]
    http_secret: pulumi.Input[str]


class Registry(pulumi.ComponentResource):
    """The registry, which serves plain HTTP inside the cluster.

    Attributes:
        namespace: The namespace that holds all of the registry.
        service: The name of its Service, whose port is named http.
        url: The URL for pods of the cluster.
        generation: A number that each rollout changes, known once the rollout has succeeded.
    """

    namespace: pulumi.Output[str]
    service: str
    url: pulumi.Output[str]
    generation: pulumi.Output[int]

    def __init__(
        self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Registry", name, None, opts)
        self._name, self._args = name, args
        self.service = NAME
        self.namespace = args.namespace.metadata.name
        self.url = pulumi.Output.format("http://{0}.{1}.svc:{2}", NAME, self.namespace, PORT)
        self._child = pulumi.ResourceOptions(parent=self, deleted_with=args.namespace)
        policies = network_policies(
            name,
            NetworkPoliciesArgs(
                namespace=self.namespace,
                controller_namespace=args.controller_namespace,
                storage_endpoint=args.storage.endpoint,
            ),
            self._child,
        )
        self._service()
        deployment = self._deployment(policies)
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

    def _secrets(self) -> tuple[pulumi.Output[str], pulumi.Output[str], pulumi.Output[str]]:
        """Create the Secrets with the registry's files, and return their names.

        The registry notices a change of its users, and reads everything else only when it starts.
        So the users' Secret is updated in place, while the others are immutable and auto-named: a
        change of them changes the pods, which rolls them out.
        """
        storage = self._args.storage
        config = pulumi.Output.all(
            endpoint=storage.endpoint,
            region=storage.region,
            bucket=storage.bucket,
            path_style=storage.path_style,
            root_directory=storage.root_directory,
            http_secret=self._args.http_secret,
        ).apply(lambda args: registry_config(**args))
        credentials = pulumi.Output.all(
            access_key=storage.access_key, secret_key=storage.secret_key
        ).apply(lambda args: credentials_file(**args))
        created = [
            kubernetes.core.v1.Secret(
                f"{self._name}-{purpose}",
                metadata=kubernetes.meta.v1.ObjectMetaArgs(
                    name=f"{NAME}-{purpose}" if mutable else None,
                    namespace=self.namespace,
                    labels=LABELS,
                ),
                immutable=not mutable,
                string_data={file: pulumi.Output.secret(text)},
                opts=self._child,
            )
            for purpose, file, text, mutable in (
                ("config", "config.yml", config, False),
                ("storage-key", "credentials", credentials, False),
                ("users", "htpasswd", self._args.htpasswd, True),
            )
        ]
        config_name, key_name, users_name = (secret.metadata.name for secret in created)
        return config_name, key_name, users_name

    def _deployment(self, policies: list[pulumi.Resource]) -> kubernetes.apps.v1.Deployment:
        args = self._args
        config, storage_key, users = self._secrets()
        check = StorageCheck(
            f"{self._name}-storage-check",
            StorageCheckArgs(
                namespace=self.namespace,
                image=args.check_image,
                storage=args.storage,
                key_secret=storage_key,
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=policies),
        )
        return kubernetes.apps.v1.Deployment(
            f"{self._name}-deployment",
            metadata={"name": NAME, "namespace": self.namespace, "labels": LABELS},
            spec={
                "replicas": args.settings.replicas,
                "selector": {"match_labels": LABELS},
                "strategy": {"rolling_update": {"max_surge": 1, "max_unavailable": 0}},
                "template": {
                    "metadata": {"labels": LABELS},
                    "spec": pod_spec(
                        PodArgs(
                            settings=args.settings,
                            config_secret=config,
                            storage_key_secret=storage_key,
                            users_secret=users,
                        )
                    ),
                },
            },
            # Deleted by itself, unlike the rest: a namespace that still has pods is looked at again
            # only after half of their grace period.
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
                "labels": LABELS,
                # The awaiter sleeps 10 s after the pods are ready.
                "annotations": SKIP_AWAIT,
            },
            spec={
                "selector": LABELS,
                "ports": [{"name": "http", "port": PORT, "target_port": "http"}],
            },
            opts=self._child,
        )

    def _disruption_budget(self) -> None:
        kubernetes.policy.v1.PodDisruptionBudget(
            f"{self._name}-disruption-budget",
            metadata={"name": NAME, "namespace": self.namespace, "labels": LABELS},
            spec={"max_unavailable": 1, "selector": {"match_labels": LABELS}},
            opts=self._child,
        )
