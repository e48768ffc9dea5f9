"""Secrets that let pods pull though their nodes are not set up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.render.docker_config import docker_config

SECRET_NAME = "registry-pull"  # noqa: S105 - the name of a Secret
"""The name of the Secret in each namespace, for the ``imagePullSecrets`` of pods."""


@dataclass(frozen=True, kw_only=True)
class PullSecretsArgs:
    """Who gets a pull Secret.

    Attributes:
        namespaces: Existing namespaces that get one.
        default_service_account: Whether all pods there use it that name no service account.
        hostname: The registry's host name.
        username: Whom to pull as.
        password: That user's password; secret.
    """

    namespaces: Sequence[str]
    default_service_account: bool
    hostname: str
    username: str
    password: pulumi.Input[str]


class PullSecrets(pulumi.ComponentResource):
    """A Secret in each namespace; a new password changes it in place, and pods need no change.

    Attributes:
        names: Of the Secrets, each as ``namespace/name``.
    """

    names: list[str]

    def __init__(
        self, name: str, args: PullSecretsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:PullSecrets", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        login = pulumi.Output.secret(args.password).apply(
            lambda password: docker_config(
                hostname=args.hostname, username=args.username, password=password
            )
        )
        for namespace in args.namespaces:
            secret = kubernetes.core.v1.Secret(
                f"{name}-{namespace}",
                metadata={"name": SECRET_NAME, "namespace": namespace},
                type="kubernetes.io/dockerconfigjson",
                string_data={".dockerconfigjson": login},
                opts=child,
            )
            if args.default_service_account:
                # Not forced: to the API server the list is one value, and taking it over would drop
                # what others put there. So it refuses, and preflight.py says what to do instead.
                # https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
                kubernetes.core.v1.ServiceAccountPatch(
                    f"{name}-{namespace}-default",
                    metadata={"name": "default", "namespace": namespace},
                    image_pull_secrets=[{"name": secret.metadata.name}],
                    opts=child,
                )
        self.names = [f"{namespace}/{SECRET_NAME}" for namespace in args.namespaces]
        self.register_outputs({"names": self.names})
