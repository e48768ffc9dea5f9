"""The CronJob that looks after the storage."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.metadata import labels
from components.registry.network_policies import dns_rule, server_rules
from components.script_job import SCRIPTS, SECRET_FOLDER, ScriptJobArgs, script_cron_job
from components.storage import StorageConnection
from settings.schema import MaintenanceSettings

NAME = "maintenance"
"""The name of the CronJob, and its component label."""

LABELS = labels(NAME)

DEADLINE_SECONDS = 55 * 60
"""How long a run may take: with the default schedule less than from one to the next."""

MEMORY_LIMIT_MIB = 256
"""A walk of 100,000 blobs takes 69 MiB: docs/maintenance.md."""

_SCRIPTS = ("maintain", "images", "objects", "s3", "tag_history", "usage", "walk")
_FILE = "storage.json"


@dataclass(frozen=True, kw_only=True)
class MaintenanceArgs:
    """What is looked after, and when.

    Attributes:
        settings: When.
        namespace: The registry's namespace.
        image: An image with Python 3.9 or newer as ``python3``.
        storage: The storage.
    """

    settings: MaintenanceSettings
    namespace: pulumi.Input[str]
    image: str
    storage: StorageConnection


class Maintenance(pulumi.ComponentResource):
    """A CronJob that shows the storage's usage, finds lost images, and remembers all tags."""

    def __init__(
        self, name: str, args: MaintenanceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Maintenance", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        kubernetes.networking.v1.NetworkPolicy(
            f"{name}-policy",
            metadata={"name": NAME, "namespace": args.namespace},
            spec={
                "pod_selector": {"match_labels": LABELS},
                "policy_types": ["Egress"],
                "egress": [dns_rule(), *server_rules(args.storage.endpoint)],
            },
            opts=child,
        )
        # Immutable and auto-named: a change replaces it, and with it the CronJob's pods.
        storage = kubernetes.core.v1.Secret(
            f"{name}-storage",
            metadata={"namespace": args.namespace, "labels": LABELS},
            immutable=True,
            string_data={_FILE: args.storage.document.apply(json.dumps)},
            opts=child,
        )
        script_cron_job(
            NAME,
            ScriptJobArgs(
                namespace=args.namespace,
                labels=LABELS,
                image=args.image,
                scripts=[SCRIPTS / f"{script}.py" for script in _SCRIPTS],
                arguments=[f"--storage={SECRET_FOLDER}/{_FILE}"],
                secret=storage.metadata.name,
                deadline_seconds=DEADLINE_SECONDS,
                memory_limit_mib=MEMORY_LIMIT_MIB,
            ),
            schedule=args.settings.schedule,
            parent=self,
        )
        self.register_outputs({})
