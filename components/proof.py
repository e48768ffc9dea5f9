"""The Job without which `pulumi up` does not succeed: a client that uses the registry for real."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes

from components.network import PROOF_LABELS
from components.script_job import SECRET_FOLDER, ScriptJobArgs, script_job

SCRIPT = Path(__file__).parent.parent / "jobs" / "prove.py"

DEADLINE_SECONDS = 150
"""Longer than the kubelet may take to hand a new password to a running registry, about 90 s:
https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod"""


@dataclass(frozen=True, kw_only=True)
class ProofArgs:
    """What is proven.

    Attributes:
        namespace: The registry's namespace.
        url: Where pods reach the registry.
        generation: Changes with each rollout of the registry, and so asks for a new proof.
        image: Has Python 3.9 or newer as ``python3``.
        username: Whom to log in as.
        password: That user's password; secret.
    """

    namespace: pulumi.Input[str]
    url: str
    generation: pulumi.Input[int]
    image: str
    username: str
    password: pulumi.Input[str]


class Proof(pulumi.ComponentResource):
    """A Job that logs in, is refused without login, pushes, pulls, lists and deletes.

    It runs again when the registry, its users or the script change.
    """

    def __init__(
        self, name: str, args: ProofArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Proof", name, None, opts)
        # Named anew when it changes, which replaces the Job.
        login = kubernetes.core.v1.Secret(
            f"{name}-login",
            metadata={"namespace": args.namespace, "labels": PROOF_LABELS},
            immutable=True,
            string_data={"password": pulumi.Output.secret(args.password)},
            opts=pulumi.ResourceOptions(parent=self),
        )
        generation = pulumi.Output.from_input(args.generation).apply(str)
        script_job(
            name,
            ScriptJobArgs(
                namespace=args.namespace,
                labels=PROOF_LABELS,
                image=args.image,
                scripts=[SCRIPT],
                arguments=[
                    args.url,
                    f"--username={args.username}",
                    f"--password-file={SECRET_FOLDER}/password",
                    f"--wait={DEADLINE_SECONDS - 30}",
                ],
                secret=login.metadata.name,
                deadline_seconds=DEADLINE_SECONDS,
                annotations={"registry/generation": generation},
            ),
            parent=self,
        )
        self.register_outputs({})
