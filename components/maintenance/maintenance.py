"""The CronJob that looks after the storage, and what it needs."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.credentials import RegistryUser
from components.metadata import SKIP_AWAIT
from components.registry.config import PORT
from components.registry.network_policies import LABELS as REGISTRY_LABELS
from components.registry.network_policies import MAINTENANCE_LABELS as LABELS
from components.script_job import SCRIPTS, SECRET_FOLDER, ScriptJobArgs, script_cron_job
from components.storage import StorageConnection
from settings.schema import MaintenanceSettings, RetentionSettings

NAME = "maintenance"
"""The name of the CronJob."""

PODS_SERVICE = "registry-pods"
"""The name of the headless Service that leads to each pod of the registry."""

DEADLINE_SECONDS = 55 * 60
"""How long a run may take: less than from one to the next."""

MEMORY_LIMIT_MIB = 256
"""Measured: docs/maintenance.md."""

_SCRIPTS = (
    *("maintain", "collect", "heal", "objects", "plan", "pods", "retention", "s3"),
    *("state", "usage", "walk"),
)


@dataclass(frozen=True, kw_only=True)
class MaintenanceArgs:
    """What is looked after, and how.

    Attributes:
        settings: When, and what is deleted.
        retention: Which tags and manifests stay.
        namespace: The registry's namespace.
        image: An image with Python 3.9 or newer as ``python3``.
        storage: The storage.
        user: The user who makes the registry's pods forget what was deleted.
    """

    settings: MaintenanceSettings
    retention: RetentionSettings
    namespace: pulumi.Input[str]
    image: str
    storage: StorageConnection
    user: RegistryUser


class Maintenance(pulumi.ComponentResource):
    """A CronJob that shows the storage's usage, checks it, and deletes what no image needs.

    Attributes:
        cron_job: The name of the CronJob.
    """

    cron_job: pulumi.Output[str]

    def __init__(
        self, name: str, args: MaintenanceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Maintenance", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        kubernetes.core.v1.Service(
            f"{name}-pods",
            metadata={
                "name": PODS_SERVICE,
                "namespace": args.namespace,
                "labels": LABELS,
                "annotations": SKIP_AWAIT,
            },
            spec={
                "type": "ClusterIP",
                "cluster_ip": "None",
                "selector": REGISTRY_LABELS,
                # A pod that is not ready remembers, too, and may become ready again.
                "publish_not_ready_addresses": True,
                "ports": [{"name": "http", "port": PORT, "protocol": "TCP", "target_port": "http"}],
            },
            opts=child,
        )
        # Immutable and auto-named: a change replaces it, and with it the CronJob's pods.
        login = kubernetes.core.v1.Secret(
            f"{name}-login",
            metadata={"namespace": args.namespace, "labels": LABELS},
            immutable=True,
            string_data={
                "password": args.user.password,
                "credentials": args.storage.credentials,
            },
            opts=child,
        )
        cron_job = script_cron_job(
            NAME,
            ScriptJobArgs(
                namespace=args.namespace,
                labels=LABELS,
                image=args.image,
                scripts=[SCRIPTS / f"{script}.py" for script in _SCRIPTS],
                arguments=_arguments(args),
                secret=login.metadata.name,
                deadline_seconds=DEADLINE_SECONDS,
                memory_limit_mib=MEMORY_LIMIT_MIB,
            ),
            schedule=args.settings.schedule,
            parent=self,
        )
        self.cron_job = cron_job.metadata.name
        self.register_outputs({"cron_job": self.cron_job})


def _arguments(args: MaintenanceArgs) -> list[pulumi.Input[str]]:
    return [
        *args.storage.arguments,
        f"--key-file={SECRET_FOLDER}/credentials",
        f"--pods={PODS_SERVICE}:{PORT}",
        f"--username={args.user.username}",
        f"--password-file={SECRET_FOLDER}/password",
        f"--keep-days={args.settings.keep_days}",
        f"--retention={retention_rules(args.retention)}",
        *(["--dry-run"] if args.retention.dry_run else []),
        *(["--collect"] if args.settings.collect else []),
    ]


def retention_rules(settings: RetentionSettings) -> str:
    """Return the rules as JSON, as scripts/retention.py reads them."""
    rules = [
        {
            "repositories": rule.repositories,
            "last": rule.keep.last or 0,
            "days": rule.keep.days or 0,
            "matching": rule.keep.matching,
        }
        for rule in settings.rules
    ]
    return json.dumps({"rules": rules, "untagged_days": settings.untagged_days})
