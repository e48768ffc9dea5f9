"""The CronJob that copies the images to another bucket, and what it needs."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.maintenance import stored
from components.metadata import BACKUP, labels
from components.network import dns_rule, policy, rules_of_servers
from components.registry.config import credentials_file
from components.script_files import secret
from components.script_job import SECRET_FOLDER, ScriptJobArgs, script_cron_job
from components.storage import StorageConnection, check_storage, existing_bucket
from settings.backup import BackupSettings
from settings.schedule import longest_days

LABELS = labels(BACKUP)

CHECK_LABELS = labels(f"{BACKUP}-check")
"""The labels of the pod of its storage check, which reaches the other bucket alone."""

DEADLINE_SECONDS = 12 * 3600
"""How long a run may take: at 25 MB/s a terabyte. The next one goes on."""

MEMORY_LIMIT_MIB = 1280
"""200,000 blobs in both buckets take 189 MiB, and so a million 900 MiB: docs/backup.md."""

_STORAGE, _TARGET = "storage.json", "target.json"


@dataclass(frozen=True, kw_only=True)
class BackupArgs:
    """What is copied, where to, and when.

    Attributes:
        image: An image with Python 3.9 or newer as ``python3``.
    """

    settings: BackupSettings
    namespace: pulumi.Input[str]
    image: str
    storage: StorageConnection


class Backup(pulumi.ComponentResource):
    """A CronJob that copies all images to a bucket that was found to work."""

    def __init__(
        self, name: str, args: BackupArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Backup", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        target = existing_bucket(args.settings)
        both = rules_of_servers(args.storage.endpoint, target.endpoint)
        policies = [
            policy(
                f"{name}-policy",
                BACKUP,
                args.namespace,
                LABELS,
                self._child,
                egress=[dns_rule(), *both],
            ),
            policy(
                f"{name}-check-policy",
                f"{BACKUP}-check",
                args.namespace,
                CHECK_LABELS,
                self._child,
                egress=[dns_rule(), *rules_of_servers(target.endpoint)],
            ),
        ]
        settings = args.settings
        check = check_storage(
            # Not as the CronJob's Jobs are called: alerts look at the last one of these.
            f"check-{name}",
            target,
            namespace=args.namespace,
            image=args.image,
            key_secret=self._secret(
                "key", {"credentials": credentials_file(settings.access_key, settings.secret_key)}
            ),
            labels=CHECK_LABELS,
            section="backup",
            opts=pulumi.ResourceOptions(parent=self, depends_on=policies),
        )
        connections = {_STORAGE: args.storage, _TARGET: target}
        files = {x: connection.document.apply(json.dumps) for x, connection in connections.items()}
        script_cron_job(
            BACKUP,
            ScriptJobArgs(
                namespace=args.namespace,
                labels=LABELS,
                image=args.image,
                script="maintenance.backup",
                arguments=[
                    f"--storage={SECRET_FOLDER}/{_STORAGE}",
                    f"--target={SECRET_FOLDER}/{_TARGET}",
                    f"--within-days={2 * longest_days(settings.schedule)}",
                ],
                secret=self._secret("storage", files),
                deadline_seconds=DEADLINE_SECONDS,
                memory_limit_mib=MEMORY_LIMIT_MIB,
            ),
            schedule=settings.schedule,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[check]),
        )
        self.register_outputs({})

    def _secret(self, suffix: str, files: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
        return secret(f"{self._name}-{suffix}", self._args.namespace, LABELS, files, self._child)


def report_backup(connection: Mapping[str, str]) -> None:
    """Show how old the last good copy is, if this machine reaches the storage."""
    # Imported here: previews do without.
    from scripts.maintenance.backup_record import KEY, NONE_YET, Record

    try:
        response = stored(connection, KEY)
        known = Record(**json.loads(response.body)) if response.status == 200 else None
        if known or response.status == 404:
            pulumi.log.info(known.words(time.time()) if known else NONE_YET)
    except (OSError, http.client.HTTPException, ValueError, TypeError, RecursionError) as error:
        pulumi.log.info(f"the age of the last good copy is not shown: {error}")
