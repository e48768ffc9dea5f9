"""The registry's workload: its namespace, configuration, pods and Service."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.connection import StorageConnection
from components.network import NetworkArgs, registry_policies
from components.pod import LABELS, NAME, PodArgs, pod_spec
from components.render.credentials_file import credentials_file
from components.render.registry_config import PORT, registry_config
from components.storage_check import StorageCheck, StorageCheckArgs

STACK_ANNOTATION = "registry/stack"
"""Tells which stack something in the cluster belongs to."""

ROLLOUT_TIMEOUT = "3m"
"""A pod that is not ready by then never will be; the provider's default is 10 min."""


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    """What the registry runs with.

    Attributes:
        namespace: The namespace to create for it.
        stack: The full name of the stack that it belongs to.
        image: CNCF distribution, 3.1.2 or newer.
        check_image: Has Python 3.9 or newer as ``python3``; checks the store.
        replicas: Pods; two or more are spread over nodes.
        parallel_uploads: Layers that may be uploaded to one pod at a time.
        cpu: Cores that the scheduler reserves for a pod.
        memory: Bytes that the scheduler reserves for a pod, in binary units.
        ingress_namespace: The namespace of the pods that may reach the registry.
        storage: The store that keeps the images.
        htpasswd: Who may log in; secret.
        http_secret: Signs the state of uploads; secret.
    """

    namespace: str
    stack: str
    image: str
    check_image: str
    replicas: int
    parallel_uploads: int
    cpu: str
    memory: str
    ingress_namespace: str
    storage: StorageConnection
    htpasswd: pulumi.Input[str]
    http_secret: pulumi.Input[str]


class Registry(pulumi.ComponentResource):
    """A registry that answers plain HTTP inside the cluster.

    Attributes:
        namespace: The namespace; everything else of the registry goes there.
        service: The name of its Service, whose port is called http.
        url: Where pods of the cluster reach it.
        generation: Changes with each rollout, and is known once the rollout has succeeded.
    """

    namespace: pulumi.Output[str]
    service: str
    url: str
    generation: pulumi.Output[int]

    def __init__(
        self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Registry", name, None, opts)
        self._name, self._args = name, args
        self.service = NAME
        self.url = f"http://{NAME}.{args.namespace}.svc:{PORT}"
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata={
                "name": args.namespace,
                "annotations": {STACK_ANNOTATION: args.stack},
                # https://kubernetes.io/docs/concepts/security/pod-security-standards/
                "labels": {
                    "pod-security.kubernetes.io/enforce": "restricted",
                    "pod-security.kubernetes.io/warn": "restricted",
                },
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.namespace = namespace.metadata.name
        self._child = pulumi.ResourceOptions(parent=self, deleted_with=namespace)
        policies = registry_policies(
            name,
            NetworkArgs(
                namespace=self.namespace,
                ingress_namespace=args.ingress_namespace,
                storage_endpoint=args.storage.endpoint,
            ),
            self._child,
        )
        self._service()
        deployment = self._deployment(policies)
        if args.replicas > 1:
            self._disruption_budget()
        self.generation = deployment.metadata.generation
        self.register_outputs({"namespace": self.namespace, "url": self.url})

    def _secrets(self) -> tuple[pulumi.Output[str], pulumi.Output[str], pulumi.Output[str]]:
        """Make the registry's files, and answer the names of the Secrets that hold them.

        The registry reads its users anew when they change, and everything else at its start only.
        So the one Secret is updated in place, and the others are immutable and named anew: a
        change of theirs changes the pods, which rolls them out.
        """
        storage = self._args.storage
        config = pulumi.Output.all(
            endpoint=storage.endpoint,
            region=storage.region,
            bucket=storage.bucket,
            path_style=storage.path_style,
            root_directory=storage.root_directory,
            http_secret=self._args.http_secret,
        ).apply(lambda found: registry_config(**found))
        credentials = pulumi.Output.all(
            access_key=storage.access_key, secret_key=storage.secret_key
        ).apply(lambda found: credentials_file(**found))
        made = [
            kubernetes.core.v1.Secret(
                f"{self._name}-{purpose}",
                metadata={"namespace": self.namespace, "labels": LABELS}
                | ({"name": f"{NAME}-{purpose}"} if mutable else {}),
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
        config_name, key_name, users_name = (secret.metadata.name for secret in made)
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
                "replicas": args.replicas,
                "selector": {"match_labels": LABELS},
                "strategy": {"rolling_update": {"max_surge": 1, "max_unavailable": 0}},
                "template": {
                    "metadata": {"labels": LABELS},
                    "spec": pod_spec(
                        PodArgs(
                            image=args.image,
                            cpu=args.cpu,
                            memory=args.memory,
                            parallel_uploads=args.parallel_uploads,
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
                # The awaiter sleeps 10 s after the pods are ready; the proof tells more, sooner.
                "annotations": {"pulumi.com/skipAwait": "true"},
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
