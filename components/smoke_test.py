"""The smoke test: a Job that uses the registry as a client does; `up` fails if it fails."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from components.credentials import RegistryUser
from components.network import SMOKE_TEST_LABELS
from components.script_files import secret
from components.script_job import SECRET_FOLDER, ScriptJobArgs, script_job

DEADLINE_SECONDS = 150
"""Longer than the kubelet may take to update a mounted Secret with a new password, about 90 s:
https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod"""


def smoke_test_job(
    name: str,
    *,
    namespace: pulumi.Input[str],
    url: pulumi.Input[str],
    generation: pulumi.Output[int],
    replicas: int,
    image: str,
    user: RegistryUser,
    opts: pulumi.ResourceOptions,
) -> kubernetes.batch.v1.Job:
    """Create a Job that is refused without login, logs in, pushes, pulls, lists and deletes.

    It runs again when its script, its user or `generation` changes, which each rollout does. The
    user may push to one repository only.
    """
    login = secret(f"{name}-login", namespace, SMOKE_TEST_LABELS, {"password": user.password}, opts)
    args = ScriptJobArgs(
        namespace=namespace,
        labels=SMOKE_TEST_LABELS,
        image=image,
        script="client.smoke_test",
        arguments=[
            url,
            f"--username={user.username}",
            f"--password-file={SECRET_FOLDER}/password",
            f"--wait={DEADLINE_SECONDS - 30}",
            f"--replicas={replicas}",
        ],
        secret=login,
        deadline_seconds=DEADLINE_SECONDS,
        annotations={"registry/generation": generation.apply(str)},
    )
    return script_job(name, args, opts)
