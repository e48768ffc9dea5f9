"""Pull Secrets, for pods on nodes that have no registries.yaml of the registry."""

from __future__ import annotations

import base64
import json

import pulumi
import pulumi_kubernetes as kubernetes

from components.credentials import RegistryUser
from settings.names import PULL_SECRET
from settings.schema import PullSecretsSettings


def pull_secrets(
    settings: PullSecretsSettings, hostname: str, user: RegistryUser, opts: pulumi.ResourceOptions
) -> list[str]:
    """Create a Secret in each namespace, and return them as ``namespace/name``.

    A new password updates it in place, and pods need no change.
    """
    login = user.password.apply(
        lambda password: docker_config(hostname=hostname, username=user.username, password=password)
    )
    for namespace in settings.namespaces:
        secret = kubernetes.core.v1.Secret(
            f"pull-secrets-{namespace}",
            metadata={"name": PULL_SECRET, "namespace": namespace},
            type="kubernetes.io/dockerconfigjson",
            string_data={".dockerconfigjson": login},
            opts=opts,
        )
        if settings.default_service_account:
            # Not forced: to the API server the list is one value, and taking it over would drop
            # what others put there. So it refuses, and preflight/conflicts.py says what to do
            # instead.
            # https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
            kubernetes.core.v1.ServiceAccountPatch(
                f"pull-secrets-{namespace}-default",
                metadata={"name": "default", "namespace": namespace},
                image_pull_secrets=[{"name": secret.metadata.name}],
                opts=opts,
            )
    return [f"{namespace}/{PULL_SECRET}" for namespace in settings.namespaces]


def docker_config(*, hostname: str, username: str, password: str) -> str:
    """Return a ``.dockerconfigjson``.

    https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets
    """
    auth = base64.b64encode(f"{username}:{password}".encode()).decode()
    return json.dumps({"auths": {hostname: {"auth": auth}}})
