"""The smoke test: a Job that uses the registry as a client does; `up` fails if it fails."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.credentials import RegistryUser
from components.network import SMOKE_TEST_LABELS
from components.script_job import SECRET_FOLDER, ScriptJobArgs, script_job

DEADLINE_SECONDS = 150
"""Longer than the kubelet may take to update a mounted Secret with a new password, about 90 s:
https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod"""


@dataclass(frozen=True, kw_only=True)
class SmokeTestArgs:
    """What is tested.

    Attributes:
        generation: A number that each rollout of the registry changes, which repeats the test.
        user: The user to log in as, who may push to one repository only.
    """

    namespace: pulumi.Input[str]
    url: pulumi.Input[str]
    generation: pulumi.Input[int]
    replicas: int
    image: str
    user: RegistryUser


class SmokeTest(pulumi.ComponentResource):
    """A Job that is refused without login, logs in, pushes, pulls, lists and deletes.

    It runs again when the registry, its users or the script change.

    Attributes:
        job: The name of the Job, known once it has succeeded.
    """

    job: pulumi.Output[str]

    def __init__(
        self, name: str, args: SmokeTestArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:SmokeTest", name, None, opts)
        # Immutable and auto-named: a change replaces it, and with it the Job.
        login = kubernetes.core.v1.Secret(
            f"{name}-login",
            metadata={"namespace": args.namespace, "labels": SMOKE_TEST_LABELS},
            immutable=True,
            string_data={"password": args.user.password},
            opts=pulumi.ResourceOptions(parent=self),
        )
        generation = pulumi.Output.from_input(args.generation).apply(str)
        job = script_job(
            name,
            ScriptJobArgs(
                namespace=args.namespace,
                labels=SMOKE_TEST_LABELS,
                image=args.image,
                script="client.smoke_test",
                arguments=[
                    args.url,
                    f"--username={args.user.username}",
                    f"--password-file={SECRET_FOLDER}/password",
                    f"--wait={DEADLINE_SECONDS - 30}",
                    f"--replicas={args.replicas}",
                ],
                secret=login.metadata.name,
                deadline_seconds=DEADLINE_SECONDS,
                annotations={"registry/generation": generation},
            ),
            parent=self,
        )
        self.job = job.metadata.name
        self.register_outputs({"job": self.job})
