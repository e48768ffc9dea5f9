"""Which images of a registry can be pulled. Plain Python 3.9 with nothing installed."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator

from scripts.shared.registry_client import Registry, RegistryError

LIST_SIZE = 1000
"""Names in a page of a list; the registry's own limit of repositories:
https://distribution.github.io/distribution/about/configuration/#catalog"""


def listed(registry: Registry, path: str, key: str) -> Iterator[str]:
    """Yield all names of a list that comes in pages.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags

    Args:
        registry: The registry.
        path: The list's path.
        key: The key of the names in each page.
    """
    page = f"{path}?n={LIST_SIZE}"
    while page:
        response = registry.call("GET", page, [200, 404])
        yield from json.loads(response.body).get(key) or []
        link = re.match(r"<([^>]+)>", response.headers.get("link", ""))
        page = link[1] if link else ""


def lost_images(registry: Registry) -> Iterator[tuple[str, str]]:
    """Yield the tags that cannot be pulled, and what is missing.

    Args:
        registry: The registry, with the login of who may pull everything.

    Raises:
        RegistryError: The images cannot be listed.
        OSError: Likewise.
    """
    for repository in listed(registry, "v2/_catalog", "repositories"):
        whole: set[str] = set()
        for tag in listed(registry, f"v2/{repository}/tags/list", "tags"):
            try:
                _pull(registry, f"v2/{repository}", "manifests", tag, whole)
            except RegistryError as error:
                yield f"{repository}:{tag}", str(error)


def _pull(registry: Registry, path: str, kind: str, reference: str, whole: set[str]) -> None:
    """Read a manifest with all that it names, or the first byte of a blob.

    A byte, since a HEAD request is answered from the registry's memory.

    Args:
        registry: The registry.
        path: The repository's path.
        kind: ``manifests`` or ``blobs``.
        reference: A tag or digest.
        whole: The digests that were read before; grows.

    Raises:
        RegistryError: Something is missing.
    """
    if reference in whole:
        return
    url = f"{path}/{kind}/{reference}"
    if kind == "blobs":
        # 416 of an S3 server says that the blob is there, and empty.
        registry.call("GET", url, [200, 206, 416], headers={"Range": "bytes=0-0"})
    else:
        manifest = json.loads(registry.call("GET", url, [200]).body)
        for inner in manifest.get("manifests", []):
            _pull(registry, path, "manifests", inner["digest"], whole)
        for blob in itertools.chain([manifest.get("config")], manifest.get("layers", [])):
            # Layers with URLs of their own are elsewhere.
            if blob and "urls" not in blob:
                _pull(registry, path, "blobs", blob["digest"], whole)
    whole.add(reference)
