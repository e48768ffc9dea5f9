"""The login that a pull Secret holds."""

from __future__ import annotations

import base64
import json


def docker_config(*, hostname: str, username: str, password: str) -> str:
    """Write a ``.dockerconfigjson``.

    https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets

    Args:
        hostname: The registry's host name.
        username: Whom to log in as.
        password: That user's password.
    """
    auth = base64.b64encode(f"{username}:{password}".encode()).decode()
    return json.dumps({"auths": {hostname: {"auth": auth}}})
