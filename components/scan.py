"""The CronJob that looks for known vulnerabilities in images, and what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pulumi

from components.credentials import RegistryUser
from components.metadata import SCAN, labels
from components.network import (
    API_SERVER_RULE,
    PORT,
    REGISTRY_LABELS,
    dns_rule,
    pods,
    policy,
    rules_of_servers,
    tcp,
)
from components.reports import FINDINGS, report_arguments, reports
from components.script_files import secret
from components.script_job import (
    SECRET_FOLDER,
    WORK_FOLDER,
    Program,
    ScriptJobArgs,
    script_cron_job,
)
from settings.scan import ScanSettings

LABELS = labels(SCAN)

TRIVY = PurePosixPath("/usr/local/bin/trivy")
"""https://github.com/aquasecurity/trivy/blob/v0.76.2/goreleaser.yml and Dockerfile beside it."""

DEADLINE_SECONDS = 2 * 60 * 60
"""How long a run may take; the images that it does not come to are the first of the next one."""

LAST_START_SECONDS = DEADLINE_SECONDS - 20 * 60
"""When it starts its last image: scripts/scan/trivy.py gives one 10 minutes."""

MEMORY_LIMIT_MIB = 1024
"""What Trivy may take (scripts/scan/trivy.py), and the script beside it."""

DISK = "8Gi"
"""The database takes 1 GiB, the program 170 MiB; the rest is for large files of images."""

_PASSWORD = "password"  # noqa: S105 - the name of a file


@dataclass(frozen=True, kw_only=True)
class ScanArgs:
    """What is scanned, and when.

    Attributes:
        image: An image with Python 3.9 or newer as ``python3``.
        service: The host and port of the registry inside the cluster.
        user: The user who may pull everything, and nothing else.
        layers: The URL of the server that the registry redirects to; empty if it does not.
        readers: What users may pull, each of whom is told what is found.
    """

    settings: ScanSettings
    hostname: str
    namespace: pulumi.Input[str]
    image: str
    service: pulumi.Output[str]
    user: RegistryUser
    layers: str
    readers: Sequence[Sequence[str]]


class Scan(pulumi.ComponentResource):
    """A CronJob that scans images as the pull user, and writes what it finds into a ConfigMap."""

    def __init__(
        self, name: str, args: ScanArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Scan", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        host, _, artifact = args.settings.database.partition("/")
        own = host == args.hostname
        _connections(name, args, [] if own else [f"https://{host}"], child)
        reports(f"{name}-reports", FINDINGS, args.namespace, child)
        login = secret(
            f"{name}-login", args.namespace, LABELS, {_PASSWORD: args.user.password}, child
        )
        database: pulumi.Input[str] = args.settings.database
        if own:
            # Inside of the cluster no certificate is needed, and no way out of it and back.
            database = pulumi.Output.format("{0}/{1}", args.service, artifact)
        script_cron_job(
            SCAN,
            ScriptJobArgs(
                namespace=args.namespace,
                labels=LABELS,
                image=args.image,
                script="scan.scan",
                arguments=[
                    pulumi.Output.format("--registry=http://{0}", args.service),
                    f"--username={args.user.username}",
                    f"--password-file={SECRET_FOLDER}/{_PASSWORD}",
                    f"--trivy={WORK_FOLDER}/{TRIVY.name}",
                    f"--folder={WORK_FOLDER}",
                    pulumi.Output.format("--database={0}", database),
                    *(["--own-database"] if own else []),
                    f"--seconds={LAST_START_SECONDS}",
                    *report_arguments(args.namespace, FINDINGS, [["*"], *args.readers]),
                ],
                secret=login,
                deadline_seconds=DEADLINE_SECONDS,
                memory_limit_mib=MEMORY_LIMIT_MIB,
                account=FINDINGS,
                program=Program(image=args.settings.image, path=str(TRIVY), disk=DISK),
            ),
            schedule=args.settings.schedule,
            opts=child,
        )
        self.register_outputs({})


def _connections(
    name: str, args: ScanArgs, database: Sequence[str], opts: pulumi.ResourceOptions
) -> None:
    """Allow the scan to connect to the registry, the API server and where the database is."""
    servers = [*database, *([args.layers] if args.layers else [])]
    policy(
        f"{name}-policy",
        SCAN,
        args.namespace,
        LABELS,
        opts,
        egress=[
            dns_rule(),
            {"to": [pods(REGISTRY_LABELS)], "ports": tcp(PORT)},
            API_SERVER_RULE,
            *rules_of_servers(*servers),
        ],
    )
    policy(
        f"{name}-registry-policy",
        f"{SCAN}-registry",
        args.namespace,
        REGISTRY_LABELS,
        opts,
        ingress=[{"from_": [pods(LABELS)], "ports": tcp(PORT)}],
    )
