"""The registry's pod: what runs in it, with which files, limits and probes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import pulumi
import pulumi_kubernetes as kubernetes

from components.pod_security import restricted_container, restricted_pod
from components.registry.config import DRAIN_SECONDS, HTPASSWD, PORT
from components.registry.network_policies import LABELS
from settings.schema import RegistrySettings

NAME = "registry"
"""The name of the Deployment, its container and its Service."""

PRE_STOP_SECONDS = 5
"""How long a stopping pod still takes requests, until the ingress controller knows of it."""

_CONFIG, _STORAGE_KEY = "/etc/registry/config", "/etc/registry/storage"


@dataclass(frozen=True, kw_only=True)
class PodArgs:
    """What a registry pod runs with.

    Attributes:
        settings: Its image, resources and number of parallel uploads.
        config_secret: The Secret with config.yml.
        storage_key_secret: The Secret with the shared credentials file.
        users_secret: The Secret with htpasswd.
    """

    settings: RegistrySettings
    config_secret: pulumi.Input[str]
    storage_key_secret: pulumi.Input[str]
    users_secret: pulumi.Input[str]


def pod_spec(args: PodArgs) -> kubernetes.core.v1.PodSpecArgsDict:
    """Return the spec of a registry pod."""
    limit = args.settings.memory_limit_mib
    mounts = {
        "config": _CONFIG,
        "storage-key": _STORAGE_KEY,
        "users": str(PurePosixPath(HTPASSWD).parent),
    }
    secrets = {
        "config": args.config_secret,
        "storage-key": args.storage_key_secret,
        "users": args.users_secret,
    }
    return {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "security_context": restricted_pod(),
        "termination_grace_period_seconds": PRE_STOP_SECONDS + DRAIN_SECONDS + 5,
        "topology_spread_constraints": [
            {
                "max_skew": 1,
                "topology_key": "kubernetes.io/hostname",
                "when_unsatisfiable": "ScheduleAnyway",
                "label_selector": {"match_labels": LABELS},
            }
        ],
        "containers": [
            {
                "name": NAME,
                "image": args.settings.image,
                "command": ["registry", "serve", f"{_CONFIG}/config.yml"],
                "env": [
                    {
                        "name": "AWS_SHARED_CREDENTIALS_FILE",
                        "value": f"{_STORAGE_KEY}/credentials",
                    },
                    # Near the limit memory is collected harder, instead of the pod being killed.
                    {"name": "GOMEMLIMIT", "value": f"{limit * 9 // 10}MiB"},
                    # Or it sends traces to itself: https://github.com/distribution/distribution/issues/4270
                    {"name": "OTEL_TRACES_EXPORTER", "value": "none"},
                ],
                "ports": [{"name": "http", "container_port": PORT}],
                "security_context": restricted_container(),
                "resources": {
                    "requests": args.settings.resources.model_dump(),
                    "limits": {"memory": f"{limit}Mi"},
                },
                # Storage that is down must not restart the registry, so only readiness asks for it.
                "startup_probe": {
                    "tcp_socket": {"port": "http"},
                    "period_seconds": 1,
                    "failure_threshold": 30,
                },
                "readiness_probe": {
                    "http_get": {"path": "/", "port": "http"},
                    "period_seconds": 5,
                    "timeout_seconds": 3,
                },
                "liveness_probe": {"tcp_socket": {"port": "http"}, "period_seconds": 10},
                "lifecycle": {"pre_stop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
                "volume_mounts": [
                    {"name": volume, "mount_path": path, "read_only": True}
                    for volume, path in mounts.items()
                ],
            }
        ],
        "volumes": [
            # A directory, not a single file: only so is a changed Secret seen in a running pod.
            {"name": volume, "secret": {"secret_name": secret, "default_mode": 0o440}}
            for volume, secret in secrets.items()
        ],
    }
