"""The Job without which `pulumi up` does not succeed: a client that uses the registry for real."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes

from components.network import PROOF_LABELS
from components.pod import restricted, unprivileged

SCRIPT = Path(__file__).parent.parent / "prove.py"

DEADLINE_SECONDS = 150
"""Longer than the kubelet may take to hand a new password to a running registry, about 90 s:
https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod"""

_LOGIN, _SCRIPT = "/proof/login", "/proof/script"


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
        child = pulumi.ResourceOptions(parent=self)
        # Both are named anew when they change, which replaces the Job.
        login = kubernetes.core.v1.Secret(
            f"{name}-login",
            metadata={"namespace": args.namespace, "labels": PROOF_LABELS},
            immutable=True,
            string_data={"password": pulumi.Output.secret(args.password)},
            opts=child,
        )
        script = kubernetes.core.v1.ConfigMap(
            f"{name}-script",
            metadata={"namespace": args.namespace, "labels": PROOF_LABELS},
            immutable=True,
            data={SCRIPT.name: SCRIPT.read_text()},
            opts=child,
        )
        kubernetes.batch.v1.Job(
            f"{name}-job",
            metadata={
                "namespace": args.namespace,
                "labels": PROOF_LABELS,
                # A Job that failed stays so; the next `pulumi up` must start a new one.
                "annotations": {"pulumi.com/replaceUnready": "true"},
            },
            spec={
                "backoff_limit": 0,
                "active_deadline_seconds": DEADLINE_SECONDS,
                "template": {
                    "metadata": {
                        "labels": PROOF_LABELS,
                        "annotations": {
                            "registry/generation": pulumi.Output.from_input(args.generation).apply(
                                str
                            )
                        },
                    },
                    "spec": {
                        "automount_service_account_token": False,
                        "enable_service_links": False,
                        "restart_policy": "Never",
                        "security_context": unprivileged(),
                        "containers": [
                            {
                                "name": "proof",
                                "image": args.image,
                                "command": [
                                    "python3",
                                    f"{_SCRIPT}/{SCRIPT.name}",
                                    args.url,
                                    f"--username={args.username}",
                                    f"--password-file={_LOGIN}/password",
                                    f"--wait={DEADLINE_SECONDS - 30}",
                                ],
                                "security_context": restricted(),
                                # So that the failure that Pulumi shows ends with the log's end.
                                "termination_message_policy": "FallbackToLogsOnError",
                                "resources": {
                                    "requests": {"cpu": "50m", "memory": "64Mi"},
                                    "limits": {"memory": "128Mi"},
                                },
                                "volume_mounts": [
                                    {"name": "login", "mount_path": _LOGIN, "read_only": True},
                                    {"name": "script", "mount_path": _SCRIPT, "read_only": True},
                                ],
                            }
                        ],
                        "volumes": [
                            {
                                "name": "login",
                                "secret": {
                                    "secret_name": login.metadata.name,
                                    "default_mode": 0o440,
                                },
                            },
                            {"name": "script", "config_map": {"name": script.metadata.name}},
                        ],
                    },
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                custom_timeouts=pulumi.CustomTimeouts(create=f"{DEADLINE_SECONDS + 30}s"),
            ),
        )
        self.register_outputs({})
