"""The registry's pod: what runs in it, with which files, limits and probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.network import METRICS_PORT, PORT, PROBE_PORT, REDIRECT_PORT, REGISTRY_LABELS
from components.pod_security import restricted_container, restricted_pod
from components.registry.auth_proxy import SHUTDOWN_DELAY_SECONDS
from components.registry.page import FOLDER
from components.registry.side_servers import FINDINGS_FOLDER, READY_PATH
from components.reports import FINDINGS, REPORTS
from scripts.shared.reports import METRICS
from settings.schema import RegistrySettings

NAME = "registry"
"""The name of the Deployment, the Service, and the container that takes layers."""

MANIFESTS = "manifests"
"""The name of the container of the second registry, which takes what is about manifests."""

CONFIG_FILES = {NAME: "config.yml", MANIFESTS: "manifests.yml"}
"""The names of the registries' configuration files, by container."""

PROXY_CONFIG_FILE = "caddy.json"
"""The name of the auth proxy's configuration file."""

DRAIN_SECONDS = 60
"""How long running uploads and downloads may take to finish when a pod stops."""

MANIFESTS_MEMORY_MIB = 256
"""The process for manifests at rest takes 12 MiB, and 247 MiB with 16 clients that get a manifest
of 4 MiB, the largest that there is (docs/performance.md)."""

PROXY_MEMORY_MIB = 384
"""Room for 2,000 connections of any kind (docs/performance.md)."""

LOST_NODE_SECONDS = 30
"""How long a pod stays on a node that is lost, instead of Kubernetes' 300: it has nothing that
another one does not have. https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
"""

LOST_NODE: list[kubernetes.core.v1.TolerationArgsDict] = [
    {
        "key": f"node.kubernetes.io/{state}",
        "operator": "Exists",
        "effect": "NoExecute",
        "toleration_seconds": LOST_NODE_SECONDS,
    }
    for state in ("not-ready", "unreachable")
]

_SPREAD: kubernetes.core.v1.TopologySpreadConstraintArgsDict = {
    "max_skew": 1,
    "topology_key": "kubernetes.io/hostname",
    # A rollout must not wait for a node that is full, or off.
    "when_unsatisfiable": "ScheduleAnyway",
    "label_selector": {"match_labels": REGISTRY_LABELS},
    # Without it the pods that a rollout replaces count, too, and all new ones may be on one node.
    # On by default since Kubernetes 1.27:
    # https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
    "match_label_keys": ["pod-template-hash"],
}

CONFIG_FOLDER, _STORAGE_KEY = "/etc/registry/config", "/etc/registry/storage"
_PROXY_CONFIG, _PROXY_DATA = "/etc/caddy", "/data"


@dataclass(frozen=True, kw_only=True)
class PodArgs:
    """What a registry pod runs with; `config_secret` has the files of :data:`CONFIG_FILES`.

    Attributes:
        page: The ConfigMap with the page's files; None for no page.
    """

    settings: RegistrySettings
    config_secret: pulumi.Input[str]
    storage_key_secret: pulumi.Input[str]
    proxy_secret: pulumi.Input[str]
    metrics: bool
    findings: bool
    page: pulumi.Input[str] | None


def pod_spec(args: PodArgs) -> kubernetes.core.v1.PodSpecArgsDict:
    """Return the spec of a registry pod.

    The registries are sidecars of the auth proxy, so that they start before and stop after it:
    https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
    """
    secrets = {
        "config": args.config_secret,
        "storage-key": args.storage_key_secret,
        "auth-proxy": args.proxy_secret,
    }
    return {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "security_context": restricted_pod(),
        "termination_grace_period_seconds": SHUTDOWN_DELAY_SECONDS + DRAIN_SECONDS + 5,
        "topology_spread_constraints": [_SPREAD],
        "tolerations": LOST_NODE,
        "init_containers": [
            _sidecar(
                NAME,
                args.settings.image,
                args.settings.resources.model_dump(),
                args.settings.memory_limit_mib,
            ),
            _sidecar(
                MANIFESTS,
                args.settings.image,
                {"cpu": "50m", "memory": "32Mi"},
                MANIFESTS_MEMORY_MIB,
            ),
        ],
        "containers": [_auth_proxy(args)],
        "volumes": [
            # A directory, not a single file: only so is a changed Secret seen in a running pod.
            *secret_volumes(secrets),
            {"name": "auth-proxy-data", "empty_dir": {"size_limit": "1Mi"}},
            *([_FINDINGS] if args.findings else []),
            *([_page_volume(args.page)] if args.page else []),
        ],
    }


_FINDINGS: kubernetes.core.v1.VolumeArgsDict = {
    "name": "findings",
    "config_map": {
        "name": FINDINGS,
        "default_mode": 0o440,
        "items": [{"key": METRICS, "path": METRICS}],
        # Before the first scan there is none.
        "optional": True,
    },
}
"""The volume with the metrics of the last scan."""


def _page_volume(files: pulumi.Input[str]) -> kubernetes.core.v1.VolumeArgsDict:
    """Return the volume with the page's files, and the reports that there are by now."""
    sources: list[kubernetes.core.v1.VolumeProjectionArgsDict] = [
        {"config_map": {"name": files}},
        {"config_map": {"name": REPORTS, "optional": True}},
        {"config_map": {"name": FINDINGS, "optional": True}},
    ]
    return {"name": "page", "projected": {"default_mode": 0o440, "sources": sources}}


def secret_volumes(
    secrets: Mapping[str, pulumi.Input[str]],
) -> list[kubernetes.core.v1.VolumeArgsDict]:
    """Return volumes of Secrets, by the names of the volumes."""
    return [
        {"name": volume, "secret": {"secret_name": secret, "default_mode": 0o440}}
        for volume, secret in secrets.items()
    ]


def _sidecar(
    name: str, image: str, requests: Mapping[str, str], limit_mib: int
) -> kubernetes.core.v1.ContainerArgsDict:
    return {
        **registry_container(name, image, CONFIG_FILES[name], requests, limit_mib),
        "restart_policy": "Always",
    }


def registry_container(
    name: str, image: str, config_file: str, requests: Mapping[str, str], limit_mib: int
) -> kubernetes.core.v1.ContainerArgsDict:
    """Return a container that runs CNCF distribution, of a pod with :func:`secret_volumes`."""
    return {
        "name": name,
        "image": image,
        "command": ["registry", "serve", f"{CONFIG_FOLDER}/{config_file}"],
        "env": [
            {"name": "AWS_SHARED_CREDENTIALS_FILE", "value": f"{_STORAGE_KEY}/credentials"},
            _memory_goal(limit_mib),
            # Or it sends traces to itself: https://github.com/distribution/distribution/issues/4270
            {"name": "OTEL_TRACES_EXPORTER", "value": "none"},
        ],
        "security_context": restricted_container(),
        "resources": {
            "requests": requests,
            "limits": {"memory": f"{limit_mib}Mi"},
        },
        "volume_mounts": [
            {"name": "config", "mount_path": CONFIG_FOLDER, "read_only": True},
            {"name": "storage-key", "mount_path": _STORAGE_KEY, "read_only": True},
        ],
    }


def _auth_proxy(args: PodArgs) -> kubernetes.core.v1.ContainerArgsDict:
    ports = {"http": PORT, "redirect": REDIRECT_PORT, "probe": PROBE_PORT}
    if args.metrics:
        ports["metrics"] = METRICS_PORT
    findings: list[kubernetes.core.v1.VolumeMountArgsDict] = [
        {"name": "findings", "mount_path": FINDINGS_FOLDER, "read_only": True}
    ]
    page: list[kubernetes.core.v1.VolumeMountArgsDict] = [
        {"name": "page", "mount_path": FOLDER, "read_only": True}
    ]
    config = f"{_PROXY_CONFIG}/{PROXY_CONFIG_FILE}"
    return {
        "name": "auth-proxy",
        "image": args.settings.proxy_image,
        # It looks for a changed configuration each second.
        "command": ["caddy", "run", "--config", config, "--watch"],
        "env": [
            {"name": "XDG_DATA_HOME", "value": _PROXY_DATA},
            _memory_goal(PROXY_MEMORY_MIB),
        ],
        "ports": [
            {"name": name, "container_port": port, "protocol": "TCP"}
            for name, port in ports.items()
        ],
        "security_context": {
            **restricted_container(),
            # Its file has this capability, and does not start where it cannot be had:
            # https://github.com/caddyserver/caddy-docker/issues/396
            "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        },
        "resources": {
            "requests": {"cpu": "50m", "memory": "32Mi"},
            "limits": {"memory": f"{PROXY_MEMORY_MIB}Mi"},
        },
        "startup_probe": {
            "tcp_socket": {"port": "http"},
            "period_seconds": 1,
            "failure_threshold": 30,
        },
        # Storage that is down must not restart anything, so only readiness asks for it.
        "readiness_probe": {
            "http_get": {"path": READY_PATH, "port": "probe"},
            "period_seconds": 5,
            "timeout_seconds": 5,
        },
        "liveness_probe": {"tcp_socket": {"port": "http"}, "period_seconds": 10},
        "volume_mounts": [
            {"name": "auth-proxy", "mount_path": _PROXY_CONFIG, "read_only": True},
            {"name": "auth-proxy-data", "mount_path": _PROXY_DATA},
            *(findings if args.findings else []),
            *(page if args.page else []),
        ],
    }


def _memory_goal(limit_mib: int) -> kubernetes.core.v1.EnvVarArgsDict:
    # Near the limit memory is collected harder, instead of the container being killed.
    return {"name": "GOMEMLIMIT", "value": f"{limit_mib * 9 // 10}MiB"}
