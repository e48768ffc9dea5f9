"""A cache of another registry: its configuration, pod, Service and network policies."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.metadata import SKIP_AWAIT, labels
from components.network import (
    PORT,
    REGISTRY_LABELS,
    dns_rule,
    pods,
    policy,
    rules_of_servers,
    tcp,
)
from components.pod_security import restricted_pod
from components.registry.cache_routes import service_name
from components.registry.config import cache_config, login_file
from components.registry.pod import (
    CONFIG_FOLDER,
    DRAIN_SECONDS,
    LOST_NODE,
    registry_container,
    secret_volumes,
)
from components.registry.registry import ROLLOUT_TIMEOUT
from components.script_files import secret
from components.storage import StorageConnection
from settings.cache import CacheSettings

MEMORY_LIMIT_MIB = 512
"""It takes 28 MiB at rest, and 479 MiB while it fetches 24 layers at a time (docs/cache.md)."""

_CONFIG_FILE = "config.yml"


@dataclass(frozen=True, kw_only=True)
class CacheArgs:
    """What is cached, and where.

    Attributes:
        image: CNCF distribution.
        redirect: Whether clients get layers from the storage.
        key_secret: The Secret with the shared credentials file of the storage key.
    """

    settings: CacheSettings
    namespace: pulumi.Output[str]
    image: str
    redirect: bool
    storage: StorageConnection
    key_secret: pulumi.Input[str]


class Cache(pulumi.ComponentResource):
    """A pod that only the auth proxy reaches, and which reaches the other registry.

    Args:
        cache: The cache's name.
    """

    def __init__(
        self, cache: str, args: CacheArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        self._name = service_name(cache)
        super().__init__("registry:index:Cache", self._name, None, opts)
        self._args, self._labels = args, labels(self._name)
        self._child = pulumi.ResourceOptions(parent=self)
        policies = self._policies()
        kubernetes.core.v1.Service(
            f"{self._name}-service",
            metadata={**self._metadata(), "annotations": SKIP_AWAIT},
            spec={
                "selector": self._labels,
                "ports": [{"name": "http", "port": PORT, "target_port": "http", "protocol": "TCP"}],
            },
            opts=self._child,
        )
        kubernetes.apps.v1.Deployment(
            f"{self._name}-deployment",
            metadata=self._metadata(),
            spec={
                "replicas": 1,
                "selector": {"match_labels": self._labels},
                "strategy": {"rolling_update": {"max_surge": 1, "max_unavailable": 0}},
                "template": {"metadata": {"labels": self._labels}, "spec": self._pod(cache)},
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=policies,
                custom_timeouts=pulumi.CustomTimeouts(
                    create=ROLLOUT_TIMEOUT, update=ROLLOUT_TIMEOUT
                ),
            ),
        )
        self.register_outputs({})

    def _metadata(self) -> kubernetes.meta.v1.ObjectMetaArgsDict:
        return {"name": self._name, "namespace": self._args.namespace, "labels": self._labels}

    def _config(self, cache: str) -> pulumi.Output[str]:
        """Create the Secret with its files, and return its name, which changes with them."""
        args, storage = self._args, self._args.storage
        config = pulumi.Output.from_input(storage.bucket).apply(
            lambda bucket: cache_config(
                upstream=args.settings.url,
                redirect=args.redirect,
                root_directory=storage.root_directory,
                name=cache,
                endpoint=storage.endpoint,
                region=storage.region,
                bucket=bucket,
                path_style=storage.path_style,
            )
        )
        login = login_file(args.settings.username or "", args.settings.password or "")
        files = {_CONFIG_FILE: config, "get": pulumi.Output.secret(login)}
        return secret(f"{self._name}-config", args.namespace, self._labels, files, self._child)

    def _pod(self, cache: str) -> kubernetes.core.v1.PodSpecArgsDict:
        secrets = {"config": self._config(cache), "storage-key": self._args.key_secret}
        requests = {"cpu": "10m", "memory": "32Mi"}
        return {
            "automount_service_account_token": False,
            "enable_service_links": False,
            "security_context": restricted_pod(),
            "termination_grace_period_seconds": DRAIN_SECONDS,
            "tolerations": LOST_NODE,
            "containers": [
                {
                    **registry_container(
                        "cache", self._args.image, _CONFIG_FILE, requests, MEMORY_LIMIT_MIB
                    ),
                    # `cat get` finds the login here.
                    "working_dir": CONFIG_FOLDER,
                    "ports": [{"name": "http", "container_port": PORT, "protocol": "TCP"}],
                    # Whatever it needs may be down, and what it holds of the rest be asked for.
                    "readiness_probe": {"tcp_socket": {"port": "http"}, "period_seconds": 2},
                    "liveness_probe": {"tcp_socket": {"port": "http"}, "period_seconds": 10},
                }
            ],
            "volumes": secret_volumes(secrets),
        }

    def _policies(self) -> list[pulumi.Resource]:
        """Create policies: only the auth proxy reaches the pod, and only the pod the upstream."""
        args, port = self._args, tcp("http")
        return [
            policy(
                f"{self._name}-policy",
                self._name,
                args.namespace,
                self._labels,
                self._child,
                ingress=[{"from_": [pods(REGISTRY_LABELS)], "ports": port}],
                egress=[dns_rule(), *rules_of_servers(args.storage.endpoint, args.settings.url)],
            ),
            policy(
                f"{self._name}-registry-policy",
                f"{self._name}-registry",
                args.namespace,
                REGISTRY_LABELS,
                self._child,
                egress=[{"to": [pods(self._labels)], "ports": port}],
            ),
        ]
