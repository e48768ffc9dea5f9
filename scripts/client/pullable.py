"""Which images of a registry can be pulled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from scripts.shared.registry_client import MANIFESTS, Registry, RegistryError


def lost_images(registry: Registry) -> Iterator[tuple[str, str]]:
    """Yield the tags that some client could not pull, and what is wrong with each.

    Raises:
        RegistryError: The registry cannot be used.
    """
    for repository in registry.names("v2/_catalog", "repositories"):
        path = f"v2/{repository}"
        whole: set[tuple[str, str]] = set()
        try:
            # A repository of which all tags were deleted is still listed.
            for tag in registry.names(f"{path}/tags/list", "tags", empty=404):
                try:
                    problem = _problem(registry, path, tag, whole)
                except RegistryError as error:
                    problem = f"cannot be pulled: {error}"
                if problem:
                    # Or each image of a registry that is gone meanwhile would be one more.
                    registry.call("GET", "v2/", [200])
                    yield f"{repository}:{tag}", problem
        except RegistryError as error:
            registry.call("GET", "v2/", [200])
            yield repository, f"cannot be listed: {error}"


def _problem(registry: Registry, path: str, tag: str, whole: set[tuple[str, str]]) -> str:
    """Read all manifests of an image, and a byte of each blob; return what is not understood.

    The parts of whole images are read once; `whole` grows.

    Raises:
        RegistryError: Something is missing.
    """
    read: set[tuple[str, str]] = set()
    left = [("manifests", tag)]
    while left:
        part = kind, reference = left.pop()
        if part in whole or part in read:
            continue
        url = f"{path}/{kind}/{reference}"
        if kind == "blobs":
            registry.read_byte(url)
        else:
            content = registry.call("GET", url, [200]).body
            try:
                left += parts(content)
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                return f"was not looked at: its manifest {reference} is not understood: {error!r}"
        read.add(part)
    whole |= read
    return ""


def parts(content: bytes) -> list[tuple[str, str]]:
    """Return what a client needs that pulls an image, on one platform after the other.

    https://github.com/opencontainers/image-spec/blob/main/image-index.md and manifest.md beside it

    Returns:
        Where each part is, ``manifests`` or ``blobs``, and its digest.

    Raises:
        ValueError, LookupError, TypeError, AttributeError, RecursionError: It is not understood.
    """
    # Clients are written in Go, as the registry is: their parser takes keys in any case, numbers
    # of any length, and what is not UTF-8: https://pkg.go.dev/encoding/json#Unmarshal
    manifest: dict[str, Any] = json.loads(
        content.decode(errors="replace"),
        object_pairs_hook=lambda pairs: {key.casefold(): value for key, value in pairs},
        parse_int=float,
    )
    needed = []
    for child in manifest.get("manifests") or []:
        # Attestations are for a platform that nobody has, so that nobody pulls them:
        # https://docs.docker.com/build/metadata/attestations/attestation-storage/
        if (child.get("platform") or {}).get("os") != "unknown":
            # BuildKit's caches are indexes of layers.
            blob = child.get("mediatype") not in (*MANIFESTS, "", None)
            needed.append(("blobs" if blob else "manifests", child["digest"]))
    blobs = [manifest.get("config"), *(manifest.get("layers") or [])]
    # Layers with URLs are elsewhere, and are not asked for: anybody may push any URL.
    return needed + [("blobs", blob["digest"]) for blob in blobs if blob and not blob.get("urls")]
