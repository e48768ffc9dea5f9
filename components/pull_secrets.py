"""Pull Secrets, for pods on nodes that have no registries.yaml of the registry."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.credentials import RegistryUser
from settings.names import PULL_SECRET
from settings.schema import PullSecretsSettings


@dataclass(frozen=True, kw_only=True)
class PullSecretsArgs:
    """What the pull Secrets hold, and where they go."""

    settings: PullSecretsSettings
    hostname: str
    user: RegistryUser


class PullSecrets(pulumi.ComponentResource):
    """A Secret in each namespace; a new password updates it in place, and pods need no change."""

    names: list[str]

    def __init__(
        self, name: str, args: PullSecretsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:PullSecrets", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        login = args.user.password.apply(
            lambda password: docker_config(
                hostname=args.hostname, username=args.user.username, password=password
            )
        )
        for namespace in args.settings.namespaces:
            secret = kubernetes.core.v1.Secret(
                f"{name}-{namespace}",
                metadata={"name": PULL_SECRET, "namespace": namespace},
                type="kubernetes.io/dockerconfigjson",
                string_data={".dockerconfigjson": login},
                opts=child,
            )
            if args.settings.default_service_account:
                # Not forced: to the API server the list is one value, and taking it over would drop
                # what others put there. So it refuses, and preflight/conflicts.py says what to do
                # instead.
                # https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
                kubernetes.core.v1.ServiceAccountPatch(
                    f"{name}-{namespace}-default",
                    metadata={"name": "default", "namespace": namespace},
                    image_pull_secrets=[{"name": secret.metadata.name}],
                    opts=child,
                )
        self.names = [f"{namespace}/{PULL_SECRET}" for namespace in args.settings.namespaces]
        self.register_outputs({"names": self.names})


def docker_config(*, hostname: str, username: str, password: str) -> str:
    """Return a ``.dockerconfigjson``.

    https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets
    """
    auth = base64.b64encode(f"{username}:{password}".encode()).decode()
    return json.dumps({"auths": {hostname: {"auth": auth}}})
