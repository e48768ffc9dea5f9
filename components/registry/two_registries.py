"""Which of a pod's two registries a request goes to.

A registry that remembers which blobs exist asks its storage for a quarter of what it asks without:
63 requests instead of 247 when an image of 20 layers gets its next tag. But it forgets only what it
deletes itself, and has no time limit: https://github.com/distribution/distribution/issues/1803
So after a delete in one pod, another pod goes on to say that the manifest is there, the client does
not push it again, and the image is broken.

Users can delete manifests, but no layers. So there are two processes: ``registry`` remembers, and
takes all that is about layers; ``manifests`` remembers nothing, and takes all that is about
manifests. The exception is a push of an image's manifest, which asks for each layer: it writes, and
whether the manifest was there before decides nothing.
"""

from __future__ import annotations

from typing import Any

from components.caddy import matches, refuse, when
from components.registry.oci_routes import Operation
from components.registry.side_servers import MANIFESTS_ADDRESS, REGISTRY_ADDRESS, use

OF_LAYERS = ("blobs", "uploads", "upload")
"""The kinds of routes that are about layers."""

IMAGE_MANIFEST = (
    r"application/vnd\.(?:oci\.image\.manifest\.v1|docker\.distribution\.manifest\.v2)\+json"
)
"""A regular expression of the content types of manifests that refer to nothing but layers. The
registry takes no index for one of them. Whatever is not plainly one, such as a type with
parameters, is asked for in the storage, which is slower."""

LAYERS_IN_INDEX = (
    r'(?s:.*"mediaType"\s*:\s*"application/vnd\.'
    r"(?:buildkit\.cacheconfig|oci\.image\.layer|docker\.image\.rootfs)\..*)"
)
"""A regular expression of an index that refers to layers: BuildKit's cache, as it was the default
before 0.21: https://github.com/moby/buildkit/pull/5892"""

SCHEMA_VERSION = r"(?s:.*:\s*2\s*[,}].*)"
"""A regular expression of JSON that may have a field of 2, as ``schemaVersion`` is in all manifests
that the registry takes. It responds to others with 500, as if it had failed:
https://github.com/distribution/distribution/blob/v3.1.2/registry/storage/ocimanifesthandler.go"""

BODY = "{http.request.body}"

LENGTH = r"[1-9]\d{0,3}|[12]\d{4}"
"""A regular expression of the length of a manifest that is looked into, in bytes; the auth proxy
keeps it in its memory, twice, and may have 2,000 of them at a time. BuildKit takes 300 bytes for a
layer, so a cache can have a hundred."""


def choose_registry(operation: Operation) -> list[dict[str, Any]]:
    """Return the handlers that decide which registry a request is passed on to."""
    if operation.kind in OF_LAYERS:
        return [use(REGISTRY_ADDRESS)]
    if "PUT" not in operation.methods:
        return [use(MANIFESTS_ADDRESS)]
    image = matches("{http.request.header.Content-Type}", IMAGE_MANIFEST)
    short = matches("{http.request.header.Content-Length}", LENGTH)
    invalid = refuse(400, "MANIFEST_INVALID", "a manifest's schemaVersion is 2")
    return [
        use(MANIFESTS_ADDRESS),
        when(image, use(REGISTRY_ADDRESS)),
        when(
            short,
            # In routes of their own: the matchers of one have no order.
            when({"not": [matches(BODY, SCHEMA_VERSION)]}, *invalid["handle"]),
            when(matches(BODY, LAYERS_IN_INDEX), use(REGISTRY_ADDRESS)),
            # That has taken the body from the request that came in, and put it back there. After an
            # error, such as the one by which a previous password is found, Caddy works on a copy,
            # which has none now:
            # https://github.com/caddyserver/caddy/blob/v2.11.9/modules/caddyhttp/replacer.go
            {"handler": "request_body", "set": BODY},
        ),
    ]
