"""The file that tells a node's k3s how to pull from the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.nodes.own_file import new_file
from settings.cache import CacheSettings
from settings.names import CACHE_FOLDER
from settings.schema import NodesSettings


def registries_yaml(
    settings: NodesSettings,
    caches: Mapping[str, CacheSettings],
    *,
    hostname: str,
    username: str,
    password: str,
    owner: str,
) -> str:
    """Return registries.yaml, with the login under the exact hostname: wildcards do not match.

    https://github.com/k3s-io/k3s/issues/11352

    It says that it is the node configurator's, which so can replace it, however it got to a node.
    """
    prefixes = [settings.mirror_prefix] if settings.mirror_prefix else []
    prefixes += ["docker.io"] if settings.override_docker_io else []
    config: dict[str, Any] = {"auth": {"username": username, "password": password}}
    if settings.ca_file:
        config["tls"] = {"ca_file": settings.ca_file}
    mirrors: dict[str, Any] = {prefix: {"endpoint": [f"https://{hostname}"]} for prefix in prefixes}
    # k3s takes an endpoint with a path as it is, instead of adding /v2:
    # https://docs.k3s.io/installation/private-registry#mirrors
    mirrors |= {
        cache.host: {"endpoint": [f"https://{hostname}/v2/{CACHE_FOLDER}/{name}"]}
        for name, cache in caches.items()
    }
    if settings.share:
        # Nodes share what is below `mirrors`: https://docs.k3s.io/installation/registry-mirror
        mirrors[hostname] = {}
    configs = {hostname: config}
    return new_file({**({"mirrors": mirrors} if mirrors else {}), "configs": configs}, owner)
