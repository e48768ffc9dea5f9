"""What manifests refer to. Plain Python 3.9 with nothing installed."""

from __future__ import annotations

import json
import re
import sys
from typing import Any, NamedTuple

DIGEST = re.compile(r"[a-z0-9]+:[0-9a-f]{32,}")
_IN_JSON = re.compile(rf'"({DIGEST.pattern})"')


class Manifest(NamedTuple):
    """What a manifest refers to.

    Attributes:
        layers: The digests of its configuration and layers, which must be in its repository.
        sizes: Their sizes; empty if it does not say.
        children: Those of the manifests of an index.
        optional: Further ones, which may be somewhere else.
        subject: That of the manifest that it describes; empty if it is none of its own.
    """

    layers: tuple[str, ...]
    sizes: tuple[int, ...]
    children: tuple[str, ...]
    optional: tuple[str, ...]
    subject: str


def parse_manifest(content: bytes) -> Manifest:
    """Return what a manifest or index refers to; all digests in it, if it is of an unknown kind.

    https://github.com/opencontainers/image-spec/blob/main/manifest.md and image-index.md beside it;
    https://distribution.github.io/distribution/spec/deprecated-schema-v1/

    Raises:
        ValueError, KeyError, TypeError, AttributeError: If it is neither.
    """
    document: dict[str, Any] = json.loads(content)
    layers: list[dict[str, Any]] = []
    children: list[str] = []
    optional: list[str] = []
    if document["schemaVersion"] == 1:
        layers = [{"digest": layer["blobSum"]} for layer in document["fsLayers"]]
    elif "manifests" in document:
        children = [child["digest"] for child in document["manifests"]]
    elif "config" in document and "layers" in document:
        parts = [document["config"], *document["layers"]]
        layers = [part for part in parts if not part.get("urls")]
        # Layers with URLs need not be in any registry.
        optional = [part["digest"] for part in parts if part.get("urls")]
    else:
        optional = _IN_JSON.findall(content.decode())
    return Manifest(
        layers=tuple(sys.intern(layer["digest"]) for layer in layers),
        sizes=tuple(layer["size"] for layer in layers if "size" in layer),
        children=tuple(map(sys.intern, children)),
        optional=tuple(map(sys.intern, optional)),
        subject=sys.intern((document.get("subject") or {"digest": ""})["digest"]),
    )
