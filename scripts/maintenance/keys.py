"""Where things are in the bucket: the keys of CNCF distribution, and of the maintenance.

https://github.com/distribution/distribution/blob/v3.1.2/registry/storage/paths.go
"""

from __future__ import annotations

import hashlib
import re
import sys

ROOT = "docker/registry/v2/"
"""The folder of the registry's own objects, in its root directory."""

OWN = "maintenance/"
"""The folder of what the maintenance remembers, beside it."""

SWEPT = f"{OWN}swept/"
"""The folder of the copies of deleted blobs."""

CACHES = "!cache/"
"""The folder of the caches of other registries, with one of each name: no setting takes a folder of
images with such a name, so none is in there."""

LAYERS, REVISIONS = "_layers", "_manifests/revisions"
"""The kinds of links in a repository."""

DIGEST = re.compile(r"[a-z0-9]+:[0-9a-f]{32,}")
"""A digest, as a key can hold it."""

BLOB = re.compile(r"(\w+)/(..)/(\2[0-9a-f]+)/data")
COPY = re.compile(r"(\w+)/([0-9a-f]+)")
LINK = re.compile(r"(\w+)/([0-9a-f]+)/link")
"""What follows the folder in the key of a blob, of its copy, and of a link to it."""


def digest_in(pattern: re.Pattern[str], key: str, folder: str = "") -> str:
    """Return the digest that a key has after its folder; empty if it has none."""
    match = pattern.fullmatch(key, len(folder))
    return sys.intern(f"{match[1]}:{match[match.lastindex or 0]}") if match else ""


def md5(text: str) -> str:
    """Return the ETag of an object with some content, at servers that follow S3."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


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
