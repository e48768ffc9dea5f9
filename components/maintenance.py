"""The CronJob that looks after the storage, and what it needs."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.credentials import RegistryUser
from components.metadata import MAINTENANCE, SKIP_AWAIT, labels
from components.network import (
    ANYWHERE,
    API_SERVER_RULE,
    MAINTENANCE_PORT,
    REGISTRY_LABELS,
    dns_rule,
    pods,
    policy,
    server_rules,
    tcp,
)
from components.reports import REPORTS, report_arguments
from components.script_files import secret
from components.script_job import SECRET_FOLDER, ScriptJobArgs, script_cron_job
from components.storage import StorageConnection
from scripts.shared.response import Response
from settings.cache import CacheSettings
from settings.maintenance import MaintenanceSettings, RetentionSettings

LABELS = labels(MAINTENANCE)

PODS_SERVICE = "registry-pods"
"""The name of the headless Service that leads to each pod of the registry."""

DEADLINE_SECONDS = 55 * 60
"""How long a run may take: with the default schedule less than from one to the next."""

MEMORY_LIMIT_MIB = 768
"""A million blobs take 535 MiB: docs/maintenance.md."""

_STORAGE, _PASSWORD, _STACK = "storage.json", "password", "stack"


@dataclass(frozen=True, kw_only=True)
class MaintenanceArgs:
    """What is looked after, when, and what is deleted.

    Attributes:
        image: An image with Python 3.9 or newer as ``python3``.
        user: The user who makes the registry forget what is deleted.
        identity: What no other stack has, and this one keeps.
        readers: What users may pull, each of whom is told what it sees; empty for no reports.
    """

    settings: MaintenanceSettings
    retention: RetentionSettings
    caches: Mapping[str, CacheSettings]
    hostname: str
    namespace: pulumi.Input[str]
    image: str
    storage: StorageConnection
    user: RegistryUser
    identity: pulumi.Input[str]
    cluster: pulumi.Input[str]
    readers: Sequence[Sequence[str]]


class Maintenance(pulumi.ComponentResource):
    """A CronJob that shows the storage's usage, finds lost images, and deletes what none needs."""

    def __init__(
        self, name: str, args: MaintenanceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Maintenance", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        _connections(name, args, child)
        stack = pulumi.Output.all(args.identity, args.cluster).apply(
            lambda known: stack_name(known[0], known[1], args.hostname)
        )
        files = {
            _STORAGE: args.storage.document.apply(json.dumps),
            _PASSWORD: args.user.password,
            _STACK: stack,
        }
        script_cron_job(
            MAINTENANCE,
            ScriptJobArgs(
                namespace=args.namespace,
                labels=LABELS,
                image=args.image,
                script="maintenance.maintain",
                arguments=_arguments(args),
                secret=secret(f"{name}-storage", args.namespace, LABELS, files, child),
                deadline_seconds=DEADLINE_SECONDS,
                memory_limit_mib=MEMORY_LIMIT_MIB,
                account=REPORTS if args.readers else "",
            ),
            schedule=args.settings.schedule,
            opts=child,
        )
        self.register_outputs({})


def report_usage(connection: Mapping[str, str]) -> None:
    """Show what the last run has seen, if there was one and this machine reaches the storage."""
    # Imported here: previews do without.
    from scripts.maintenance.usage_history import TABLE_KEY

    try:
        response = stored(connection, TABLE_KEY)
    except (OSError, http.client.HTTPException, ValueError) as error:
        pulumi.log.info(f"the usage of the storage is not shown: {error}")
        return
    if response.status == 200:
        when = response.headers.get("last-modified", "its last run")
        table = response.body.decode(errors="replace")
        pulumi.log.info(f"the storage on {when}:\n\n{table}")


def stored(connection: Mapping[str, str], key: str) -> Response:
    """Return the response to one request for an object; raises what :func:`.send` does."""
    from scripts.shared.storage_arguments import bucket_of

    folder = connection["root_directory"]
    return bucket_of(connection).request("GET", f"{folder}/{key}" if folder else key)


def _connections(name: str, args: MaintenanceArgs, opts: pulumi.ResourceOptions) -> None:
    """Allow the maintenance to connect to each of the registry's pods, and to the storage."""
    port = tcp(MAINTENANCE_PORT)
    api_server: list[kubernetes.networking.v1.NetworkPolicyEgressRuleArgsDict] = [
        {"to": ANYWHERE, "ports": tcp(443)},
        API_SERVER_RULE,
    ]
    kubernetes.core.v1.Service(
        f"{name}-pods",
        metadata={
            "name": PODS_SERVICE,
            "namespace": args.namespace,
            "labels": LABELS,
            "annotations": SKIP_AWAIT,
        },
        spec={
            "cluster_ip": "None",
            "selector": REGISTRY_LABELS,
            # A pod that is not ready remembers blobs, too, and may become ready again.
            "publish_not_ready_addresses": True,
            "ports": [
                {
                    "name": MAINTENANCE,
                    "port": MAINTENANCE_PORT,
                    "target_port": MAINTENANCE_PORT,
                    "protocol": "TCP",
                }
            ],
        },
        opts=opts,
    )
    policy(
        f"{name}-policy",
        MAINTENANCE,
        args.namespace,
        LABELS,
        opts,
        egress=[
            dns_rule(),
            *server_rules(args.storage.endpoint),
            {"to": [pods(REGISTRY_LABELS)], "ports": port},
            *(api_server if args.readers else []),
        ],
    )
    policy(
        f"{name}-registry-policy",
        f"{MAINTENANCE}-registry",
        args.namespace,
        REGISTRY_LABELS,
        opts,
        ingress=[{"from_": [pods(LABELS)], "ports": port}],
    )


def _arguments(args: MaintenanceArgs) -> list[pulumi.Input[str]]:
    return [
        f"--storage={SECRET_FOLDER}/{_STORAGE}",
        f"--stack-file={SECRET_FOLDER}/{_STACK}",
        f"--pods={PODS_SERVICE}:{MAINTENANCE_PORT}",
        f"--username={args.user.username}",
        f"--password-file={SECRET_FOLDER}/{_PASSWORD}",
        f"--keep-days={args.settings.keep_days}",
        f"--retention={retention_rules(args.retention)}",
        *([f"--caches={cache_limits(args.caches)}"] if args.caches else []),
        *(["--dry-run"] if args.retention.dry_run else []),
        *(["--collect"] if args.settings.collect else []),
        *(report_arguments(args.namespace, REPORTS, args.readers) if args.readers else []),
    ]


def stack_name(identity: str, cluster: str, hostname: str) -> str:
    """Return what the maintenance signs its work in the bucket with: an identity, and a name.

    The cluster is part of the identity: with one state in two clusters, the maintenance of one does
    not know the registry's pods in the other. The name is for people.
    """
    return f"{identity}@{cluster} {hostname}"


def retention_rules(settings: RetentionSettings) -> str:
    """Return the rules as JSON, as scripts/maintenance/retention.py reads them."""
    rules = [
        {
            "name": name,
            "repositories": rule.repositories,
            "last": rule.last or 0,
            "days": rule.days or 0,
            "matching": rule.matching,
        }
        for name, rule in settings.rules.items()
    ]
    return json.dumps({"rules": rules, "untagged_days": settings.untagged_days}, sort_keys=True)


def cache_limits(caches: Mapping[str, CacheSettings]) -> str:
    """Return what caches may keep as JSON, as scripts/maintenance/maintain.py reads it."""
    return json.dumps({name: [x.keep_days, x.max_gib * 2**30] for name, x in caches.items()})
