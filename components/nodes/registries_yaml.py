"""The file that tells a node's k3s how to pull from the registry."""

from __future__ import annotations

from typing import Any

import yaml

PATH = "/etc/rancher/k3s/registries.yaml"
"""Where k3s reads it: https://docs.k3s.io/installation/private-registry"""

ONLY_MIRRORS_PATH = "/etc/rancher/k3s/config.yaml.d/registry.yaml"
"""Read after k3s' config.yaml: https://docs.k3s.io/installation/configuration"""

ONLY_MIRRORS = "disable-default-registry-endpoint: true\n"
"""Without it, what a mirror does not have is pulled from docker.io nevertheless:
https://docs.k3s.io/installation/private-registry#default-endpoint-fallback"""

_HEADER = f"""\
# {PATH}: on every node, for root's eyes only (mode 0600).
# Read when k3s starts: systemctl restart k3s, on agents k3s-agent.
"""

_OVERRIDE = f"""\
# Images of docker.io come from the registry. They come from nowhere else only if k3s is told so:
# {ONLY_MIRRORS_PATH} must hold "{ONLY_MIRRORS.strip()}".
"""


def registries_yaml(
    *,
    hostname: str,
    username: str,
    password: str,
    mirror_prefix: str | None,
    override_docker_io: bool,
    ca_file: str | None,
) -> str:
    """Return registries.yaml, with the login under the exact hostname: wildcards do not match.

    https://github.com/k3s-io/k3s/issues/11352

    Args:
        hostname: The registry's hostname.
        username: The user to pull as.
        password: That user's password.
        mirror_prefix: What image references may start with instead of the host name; None for none.
        override_docker_io: Whether images of docker.io are pulled from the registry.
        ca_file: Where nodes have the certificates of who signed the registry's; None if they know.
    """
    mirrors = [mirror_prefix] if mirror_prefix else []
    mirrors += ["docker.io"] if override_docker_io else []
    content: dict[str, Any] = {
        **(
            {"mirrors": {name: {"endpoint": [f"https://{hostname}"]} for name in mirrors}}
            if mirrors
            else {}
        ),
        "configs": {
            hostname: {
                "auth": {"username": username, "password": password},
                **({"tls": {"ca_file": ca_file}} if ca_file else {}),
            }
        },
    }
    header = _HEADER + (_OVERRIDE if override_docker_io else "")
    return header + yaml.safe_dump(content, sort_keys=False)
