"""Which images are scanned: what tags name, and what of it is an image."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scripts.shared.registry_client import Registry, RegistryError

_CONFIGS = {
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.oci.image.config.v1+json",
}
_LAYERS = ("application/vnd.docker.image.rootfs.", "application/vnd.oci.image.layer.")
"""What tells an image from what else is pushed: signatures have its configuration, and charts and
attestations neither. https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md"""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

_THREADS = 8
"""Questions for tags at a time; each waits for the storage."""


def tagged(registry: Registry) -> dict[str, set[str]]:
    """Return the digest of each manifest that a tag names, with the repositories that have it.

    Raises:
        RegistryError: The registry does not tell.
    """
    found: dict[str, set[str]] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for repository in registry.names("v2/_catalog", "repositories"):
            manifests = f"v2/{repository}/manifests"
            # 404 of what was deleted meanwhile.
            tags = list(registry.names(f"v2/{repository}/tags/list", "tags", empty=404))
            for response in pool.map(
                lambda tag, path=manifests: registry.call("HEAD", f"{path}/{tag}", {200, 404}), tags
            ):
                if response.status == 200:
                    digest = response.headers["docker-content-digest"]
                    found.setdefault(digest, set()).add(repository)
    return found


def image_of(registry: Registry, repository: str, digest: str) -> str | None:
    """Return the digest of the image that is scanned for a manifest; None if it is no image.

    Of an index that is the image for this machine, or the first one.

    Raises:
        RegistryError: The registry does not have it, or it is no manifest.
    """
    manifest = _manifest(registry, repository, digest)
    if not isinstance(manifest.get("manifests"), list):
        return digest if _is_image(manifest) else None
    for child in sorted(filter(_runs, manifest["manifests"]), key=_is_foreign):
        if _is_image(_manifest(registry, repository, child["digest"])):
            return str(child["digest"])
    return None


def _manifest(registry: Registry, repository: str, digest: str) -> Mapping[str, Any]:
    response = registry.call("GET", f"v2/{repository}/manifests/{digest}", [200])
    try:
        manifest = json.loads(response.body)
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict):
        raise RegistryError(f"{repository}@{digest} is no manifest")
    return manifest


def _is_image(manifest: Mapping[str, Any]) -> bool:
    config, layers = manifest.get("config"), manifest.get("layers")
    return (
        isinstance(config, dict)
        and config.get("mediaType") in _CONFIGS
        and isinstance(layers, list)
        and any(str(x.get("mediaType")).startswith(_LAYERS) for x in layers if isinstance(x, dict))
    )


def _platform(child: Mapping[str, Any]) -> Mapping[str, Any]:
    found = child.get("platform")
    return found if isinstance(found, dict) else {}


def _runs(child: object) -> bool:
    """Return whether a child of an index may run: attestations are of no system."""
    return (
        isinstance(child, dict)
        and isinstance(child.get("digest"), str)
        and _platform(child).get("os") != "unknown"
    )


def _is_foreign(child: Mapping[str, Any]) -> bool:
    machine = platform.machine()
    own = ("linux", _ARCHITECTURES.get(machine, machine))
    return (_platform(child).get("os"), _platform(child).get("architecture")) != own
