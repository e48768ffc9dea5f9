"""Jobs and CronJobs that run one of scripts/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as kubernetes

from components.pod_security import restricted_container, restricted_pod
from components.script_files import config_map, script_files, script_volume, token_volume

SECRET_FOLDER = "/script/secret"  # noqa: S105 - a folder
"""The folder with the files of the script's Secret."""

CREDENTIALS_FOLDER = "/script/credentials"
"""The folder with the token of the script's account, and the CA of the API server."""

WORK_FOLDER = "/script/work"
"""An empty folder, for what has a program of another image."""

_CODE_FOLDER = "/script/code"


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that a script starts: of another image, which has `cp`, and linked statically.

    Attributes:
        path: The program in its image; the script finds it in :data:`WORK_FOLDER`.
        disk: How much of the node's disk that folder may take.
    """

    image: str
    path: str
    disk: str


@dataclass(frozen=True, kw_only=True)
class ScriptJobArgs:
    """What a Job runs.

    Attributes:
        labels: The labels of the Job and its pod, which network policies select.
        image: An image with Python 3.9 or newer as ``python3``.
        script: The script, as ``folder.module`` of scripts/; nothing is installed.
        arguments: The script's arguments; never a secret.
        secret: The Secret whose files the script reads in :data:`SECRET_FOLDER`.
        program: What the script starts, if it starts anything.
        account: The service account whose token it reads in :data:`CREDENTIALS_FOLDER`; empty for
            none.
        deadline_seconds: How long it may run, the pull of its image included.
        annotations: The pod's annotations. A change of these, or of any field above, runs it again.
    """

    namespace: pulumi.Input[str]
    labels: Mapping[str, str]
    image: str
    script: str
    arguments: Sequence[pulumi.Input[str]]
    secret: pulumi.Input[str]
    deadline_seconds: int
    memory_limit_mib: int = 128
    account: str = ""
    program: Program | None = None
    annotations: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)


def script_job(
    name: str, args: ScriptJobArgs, opts: pulumi.ResourceOptions
) -> kubernetes.batch.v1.Job:
    """Create a Job that runs a script; the resource is ready when the script exits with 0.

    Its failure fails `pulumi up` with the end of the script's log.
    """
    timeout = pulumi.CustomTimeouts(create=f"{args.deadline_seconds + 30}s")
    return kubernetes.batch.v1.Job(
        f"{name}-job",
        metadata={
            "namespace": args.namespace,
            "labels": dict(args.labels),
            # A Job that failed stays so; the next `pulumi up` must start a new one.
            "annotations": {"pulumi.com/replaceUnready": "true"},
        },
        spec=_job_spec(name, args, opts),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(custom_timeouts=timeout)),
    )


def script_cron_job(
    name: str, args: ScriptJobArgs, schedule: str, opts: pulumi.ResourceOptions
) -> kubernetes.batch.v1.CronJob:
    """Create a CronJob that runs a script, never twice at a time, at times in UTC."""
    return kubernetes.batch.v1.CronJob(
        f"{name}-cron-job",
        metadata={"name": name, "namespace": args.namespace, "labels": dict(args.labels)},
        spec={
            "schedule": schedule,
            "time_zone": "Etc/UTC",
            "concurrency_policy": "Forbid",
            "suspend": False,
            "successful_jobs_history_limit": 1,
            "failed_jobs_history_limit": 3,
            "job_template": {
                "metadata": {"labels": dict(args.labels)},
                "spec": _job_spec(name, args, opts),
            },
        },
        opts=opts,
    )


def _job_spec(
    name: str, args: ScriptJobArgs, opts: pulumi.ResourceOptions
) -> kubernetes.batch.v1.JobSpecArgsDict:
    """Return the spec of a Job, and create the ConfigMap with its scripts."""
    labels = dict(args.labels)
    folder = args.script.partition(".")[0]
    code = config_map(f"{name}-script", args.namespace, labels, script_files(folder), opts)
    volumes: list[kubernetes.core.v1.VolumeArgsDict] = [
        {"name": "secret", "secret": {"secret_name": args.secret, "default_mode": 0o440}},
        script_volume(folder, code),
        *([token_volume()] if args.account else []),
    ]
    if args.program:
        volumes.append({"name": "work", "empty_dir": {"size_limit": args.program.disk}})
    spec: kubernetes.core.v1.PodSpecArgsDict = {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "restart_policy": "Never",
        "security_context": restricted_pod(),
        "containers": [_container(args)],
        "volumes": volumes,
    }
    if args.account:
        spec["service_account_name"] = args.account
    if args.program:
        spec["init_containers"] = [_copy(args.program)]
    return {
        "backoff_limit": 0,
        "active_deadline_seconds": args.deadline_seconds,
        "template": {
            "metadata": {"labels": labels, "annotations": dict(args.annotations)},
            "spec": spec,
        },
    }


def _copy(program: Program) -> kubernetes.core.v1.ContainerArgsDict:
    """Return the container that copies a program out of its image, and can do nothing else."""
    return {
        "name": "program",
        "image": program.image,
        "command": ["cp", program.path, WORK_FOLDER],
        "security_context": restricted_container(),
        "resources": {
            "requests": {"cpu": "50m", "memory": "16Mi"},
            # What it has written counts until it is on the disk.
            "limits": {"memory": "256Mi"},
        },
        "volume_mounts": [{"name": "work", "mount_path": WORK_FOLDER}],
    }


def _container(args: ScriptJobArgs) -> kubernetes.core.v1.ContainerArgsDict:
    folders = {"secret": SECRET_FOLDER, "code": f"{_CODE_FOLDER}/scripts"}
    if args.account:
        folders["credentials"] = CREDENTIALS_FOLDER
    mounts: list[kubernetes.core.v1.VolumeMountArgsDict] = [
        {"name": name, "mount_path": folder, "read_only": True} for name, folder in folders.items()
    ]
    if args.program:
        mounts.append({"name": "work", "mount_path": WORK_FOLDER})
    return {
        "name": "script",
        "image": args.image,
        "command": ["python3", "-m", f"scripts.{args.script}", *args.arguments],
        "working_dir": _CODE_FOLDER,
        "security_context": restricted_container(),
        # Pulumi shows the termination message of a Job that failed.
        "termination_message_policy": "FallbackToLogsOnError",
        "resources": {
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"memory": f"{args.memory_limit_mib}Mi"},
        },
        "volume_mounts": mounts,
    }
