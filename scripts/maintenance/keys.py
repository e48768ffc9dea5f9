"""Where things are in the bucket: the keys of CNCF distribution, and of the maintenance.

https://github.com/distribution/distribution/blob/v3.1.2/registry/storage/paths.go
Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

import re

ROOT = "docker/registry/v2/"
"""The folder of the registry's own objects, in its root directory."""

OWN = "maintenance/"
"""The folder of what the maintenance remembers, beside it."""

SWEPT = f"{OWN}swept/"
"""The folder of the copies of deleted blobs."""

LAYERS, REVISIONS = "_layers", "_manifests/revisions"
"""The kinds of links in a repository."""

DIGEST = re.compile(r"[a-z0-9]+:[0-9a-f]{32,}")
"""A digest, as a key can hold it."""


def blob_key(digest: str) -> str:
    """Return the key of a blob's content."""
    algorithm, _, value = digest.partition(":")
    return f"{ROOT}blobs/{algorithm}/{value[:2]}/{value}/data"


def swept_key(digest: str) -> str:
    """Return the key of a deleted blob's copy."""
    return SWEPT + digest.replace(":", "/")


def link_key(repository: str, kind: str, digest: str) -> str:
    """Return the key of a link of a layer or manifest."""
    return f"{ROOT}repositories/{repository}/{kind}/{digest.replace(':', '/')}/link"


def tag_key(repository: str, tag: str, digest: str = "") -> str:
    """Return the key of a tag's link to its manifest, or to one that it has ever named."""
    entry = f"index/{digest.replace(':', '/')}" if digest else "current"
    return f"{ROOT}repositories/{repository}/_manifests/tags/{tag}/{entry}/link"
