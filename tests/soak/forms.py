"""The requests of other clients than crane, in the forms that they have on the wire.

``make clients`` records them of the real ones; of some, the sources are named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol
from urllib.parse import quote, urlsplit

from tests.soak.client import (
    CONFIG,
    DOCKER,
    INDEX,
    LAYER,
    MANIFEST,
    Image,
    Response,
    describe,
    digest_of,
    image,
    index,
)
from tests.soak.rights import UPLOAD
from tests.soak.strangers import cache, referrer, signature

NOWHERE = f"sha256:{0:064}"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
ALL = f"{MANIFEST}, {INDEX}, {DOCKER}, {DOCKER_INDEX}"
BYTES = "application/octet-stream"
SIZE = 100_000


class Ask(Protocol):
    """Sends a request with a login."""

    def __call__(
        self, method: str, target: str, body: bytes | Iterator[bytes] = b"", **headers: str
    ) -> Response: ...


Form = Callable[[Ask, str], None]
"""Requests in order, in one repository. Each is sent, whatever became of those before."""


def _local(response: Response, repository: str, query: str = "") -> str:
    """Return where an upload goes on."""
    location = response.headers.get("location", f"/v2/{repository}/blobs/uploads/{UPLOAD}?x=y")
    parts = urlsplit(location)
    return f"{parts.path}?{'&'.join(x for x in (parts.query, query) if x)}"


def _content(name: str) -> bytes:
    return (name.encode() * SIZE)[:SIZE]


def _put(ask: Ask, repository: str, pushed: Image) -> None:
    """Push an image whose layers are there."""
    ask(
        "PUT",
        f"/v2/{repository}/manifests/{pushed.tag or pushed.digest}",
        pushed.manifest,
        Content_Type=pushed.media_type,
    )


def _blob(ask: Ask, repository: str, content: bytes) -> None:
    """Push a layer as most clients do."""
    started = ask("POST", f"/v2/{repository}/blobs/uploads/")
    target = _local(started, repository, f"digest={quote(digest_of(content))}")
    ask("PUT", target, content, Content_Type=BYTES)


def containers_image(ask: Ask, repository: str) -> None:
    """podman, skopeo and buildah: one chunk without a range, and no length."""
    layer, config = _content("podman"), b'{"podman": 1}'
    ask("GET", "/v2/")
    for content in (layer, config):
        digest = digest_of(content)
        ask("HEAD", f"/v2/{repository}/blobs/{digest}")
        started = ask("POST", f"/v2/{repository}/blobs/uploads/")
        patched = ask("PATCH", _local(started, repository), iter([content]), Content_Type=BYTES)
        target = _local(patched, repository, f"digest={quote(digest, safe='')}")
        ask("PUT", target, Content_Type=BYTES)
    pushed = image(repository, "podman", config, [layer])
    _put(ask, repository, pushed)
    ask("GET", f"/v2/{repository}/tags/list")
    ask("GET", f"/v2/{repository}/manifests/podman", Accept=f"{ALL}, */*")
    ask("GET", f"/v2/{repository}/blobs/{digest_of(layer)}", Accept_Encoding="gzip")
    ask("GET", f"/extensions/v2/{repository}/signatures/{pushed.digest}")
    ask("GET", "/v1/search?q=app&n=25")
    ask("HEAD", f"/v2/{repository}/manifests/podman", Accept=ALL)
    ask("DELETE", f"/v2/{repository}/manifests/{pushed.digest}")
    ask("GET", f"/v2/{repository}/manifests/podman", Accept=ALL)


def docker(ask: Ask, repository: str) -> None:
    """dockerd: Docker's own types, and mounts from wherever it has pushed a layer before."""
    layer, config = _content("docker"), b'{"docker": 1}'
    ask("GET", "/v2/")
    for content in (layer, config):
        digest = digest_of(content)
        ask("HEAD", f"/v2/{repository}/blobs/{digest}")
        query = f"from=hidden%2Fother&mount={quote(digest)}"
        started = ask("POST", f"/v2/{repository}/blobs/uploads/?{query}")
        patched = ask("PATCH", _local(started, repository), iter([content]))
        ask("PUT", _local(patched, repository, f"digest={quote(digest, safe='')}"))
        ask("HEAD", f"/v2/{repository}/blobs/{digest}")
    values = json.loads(image(repository, "", config, [layer]).manifest) | {"mediaType": DOCKER}
    manifest = json.dumps(values).encode()
    path = f"/v2/{repository}/manifests/docker"
    ask("PUT", path, manifest, Content_Type=DOCKER)
    listed = {**describe(DOCKER, manifest), "platform": {"architecture": "amd64", "os": "linux"}}
    text = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_INDEX, "manifests": [listed]})
    ask("PUT", f"{path}-list", text.encode(), Content_Type=DOCKER_INDEX)
    for accept in (ALL, f"{DOCKER}, application/json", "*/*", ""):
        for tag in ("docker", "docker-list"):
            ask("HEAD", f"/v2/{repository}/manifests/{tag}", Accept=accept)
            ask("GET", f"/v2/{repository}/manifests/{tag}", Accept=accept)
    for name in ("DELETE", "GET"):
        ask(name, f"{path}-list", Accept=ALL)


def containerd(ask: Ask, repository: str) -> None:
    """containerd, BuildKit and nerdctl: the whole layer in one PUT, the host in the query.

    https://github.com/containerd/containerd/blob/v2.1.4/core/remotes/docker/pusher.go
    """
    layer, config = _content("containerd"), b'{"containerd": 1}'
    ask("HEAD", f"/v2/{repository}/manifests/containerd?ns=example.com", Accept=f"{ALL}, */*")
    for content in (layer, config):
        digest = digest_of(content)
        ask("HEAD", f"/v2/{repository}/blobs/{digest}?ns=example.com", Accept=f"{BYTES}, */*")
        started = ask("POST", f"/v2/{repository}/blobs/uploads/")
        target = _local(started, repository, f"digest={quote(digest, safe='')}")
        ask("PUT", target, iter([content]), Content_Type=BYTES)
    first = image(repository, "", config, [layer])
    _put(ask, repository, first)
    _put(ask, repository, index(repository, "containerd", [first]))
    _put(ask, repository, cache(repository, "buildcache", config, [layer]))
    _put(ask, repository, cache(repository, "large-buildcache", config, [layer] * 200))
    path = f"/v2/{repository}/blobs/{digest_of(layer)}"
    ask("GET", f"{path}?ns=example.com", Accept=f"{LAYER}, */*", Range="bytes=0-")
    ask("GET", f"{path}?ns=example.com", Accept=f"{LAYER}, */*", Range=f"bytes={SIZE // 2}-")


def in_chunks(ask: Ask, repository: str) -> None:
    """regctl with `--blob-chunk`, and lazy pullers: chunks with ranges, and parts of layers.

    The order, the status and the second try:
    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-in-chunks
    """
    layer = _content("regctl")
    digest, half = digest_of(layer), SIZE // 2
    started = ask("POST", f"/v2/{repository}/blobs/uploads/")
    target = _local(started, repository)
    ask("GET", target)
    first = ask("PATCH", target, layer[:half], Content_Range=f"0-{half - 1}", Content_Type=BYTES)
    target = _local(first, repository)
    ask("PATCH", target, layer[:half], Content_Range=f"0-{half - 1}", Content_Type=BYTES)
    ask("PATCH", target, layer[half:], Content_Range=f"bytes {half}-{SIZE - 1}/{SIZE}")
    again = ask("GET", target)
    target = _local(again, repository)
    last = ask("PATCH", target, layer[half:], Content_Range=f"{half}-{SIZE - 1}")
    target = _local(last, repository)
    ask("PUT", f"{target}&digest={NOWHERE}")
    ask("PUT", f"{target}&digest={digest}")
    ask("DELETE", target)
    path = f"/v2/{repository}/blobs/{digest}"
    parts = ("bytes=0-9", "bytes=-10", "bytes=0-9,20-29", f"bytes={SIZE}-", "bytes=x", "items=0-9")
    for part in parts:
        ask("GET", path, Range=part)
    for value in (f'"{digest}"', digest, '"other"', "*"):
        ask("GET", path, If_None_Match=value)
        ask("HEAD", path, If_None_Match=value)
        ask("GET", path, If_Range=value, Range="bytes=0-9")
    cancelled = ask("POST", f"/v2/{repository}/blobs/uploads/")
    for method in ("HEAD", "DELETE", "DELETE", "GET"):
        ask(method, _local(cancelled, repository))
    ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", layer, Content_Type=BYTES)


def signed(ask: Ask, repository: str) -> None:
    """oras, helm and cosign: whatever refers to an image, by its subject or by a tag."""
    layer, config = b"signed", b'{"signed": 1}'
    subject = image(repository, "subject", config, [layer])
    attached = (signature(subject, repository), referrer(subject))
    for content in dict.fromkeys(x for one in (subject, *attached) for x in one.blobs.values()):
        _blob(ask, repository, content)
    for one in (subject, *attached):
        _put(ask, repository, one)
    path = f"/v2/{repository}/referrers/{subject.digest}"
    ask("GET", path, Accept=INDEX)
    ask("GET", f"{path}?artifactType=application%2Fvnd.cncf.notary.signature", Accept=INDEX)
    ask("GET", f"/v2/{repository}/manifests/sha256-{subject.digest[7:]}", Accept=ALL)
    ask("GET", f"/v2/{repository}/manifests/{signature(subject, repository).tag}", Accept=ALL)
    for value in (f'"{subject.digest}"', subject.digest, '"other"'):
        ask("GET", f"/v2/{repository}/manifests/subject", Accept=ALL, If_None_Match=value)
    ask("GET", f"/v2/{repository}/_oci/artifacts/referrers?digest={subject.digest}")
    ask("GET", f"/oras/artifacts/v1/{repository}/manifests/{subject.digest}/referrers")
    ask("DELETE", f"/v2/{repository}/blobs/{digest_of(layer)}")
    ask("DELETE", f"/v2/{repository}/blobs/{NOWHERE}")


def user_interfaces(ask: Ask, repository: str) -> None:
    """UIs, mirrors and clean-up scripts: lists by pages, OPTIONS, and addresses that are close."""
    layer, config = b"listed", b'{"listed": 1}'
    for content in (layer, config):
        _blob(ask, repository, content)
    for tag in ("a", "b", "c-1.0"):
        _put(ask, repository, image(repository, tag, config, [layer]))
    for query in ("", "?n=2", "?n=2&last=b", "?n=0", "?n=-1", "?n=x", "?last=zz", "?n=100000"):
        ask("GET", f"/v2/{repository}/tags/list{query}")
        ask("GET", f"/v2/_catalog{query}")
    for method in ("HEAD", "OPTIONS", "POST"):
        ask(method, "/v2/")
        ask(method, f"/v2/{repository}/tags/list")
        ask(method, "/v2/_catalog")
    ask("GET", "/v2/missing/tags/list")
    ask("GET", "/v2/missing/manifests/latest", Accept=ALL)
    ask("DELETE", f"/v2/{repository}/manifests/missing")
    ask("DELETE", f"/v2/{repository}/manifests/c-1.0")
    ask("DELETE", f"/v2/{repository}/tags/reference/a")
    ask("GET", f"/v2/{repository}/tags/list")
    ask("GET", "/")
    ask("GET", "/v2")
    ask("POST", f"/v2/{repository}/blobs/uploads")
    ask("GET", f"/v2/{quote(repository, safe='')}/tags/list")
    ask("GET", f"/v2/{repository}/manifests/{quote(NOWHERE)}", Accept=ALL)
    ask("GET", f"/v2/{'a' * 256}/tags/list")
    ask("GET", f"/v2/{repository.upper()}/tags/list")
    ask("GET", f"/v2/{repository}/tags/list", b"{}")


def odd(ask: Ask, repository: str) -> None:
    """Clients with a fault, and manifests that are none."""
    layer, config = b"odd", b'{"odd": 1}'
    for content in (layer, config):
        _blob(ask, repository, content)
    path = f"/v2/{repository}/manifests/odd"
    plain = json.loads(image(repository, "odd", config, [layer]).manifest)
    kinds = (MANIFEST, INDEX, DOCKER, DOCKER_INDEX)
    for media_type in kinds:
        for text in ("{}", "null", "[]", "x", "", '{"schemaVersion": 1}', '{"schemaVersion":2}'):
            ask("PUT", path, text.encode(), Content_Type=media_type)
    missing = plain | {"layers": [{"mediaType": LAYER, "digest": NOWHERE, "size": 3}]}
    wrong = plain | {"config": {"mediaType": CONFIG, "digest": "sha256:1", "size": 3}}
    foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    linked = {"mediaType": foreign, "digest": NOWHERE, "size": 3, "urls": ["https://example.com/"]}
    local = linked | {"urls": ["http://169.254.169.254/"]}
    for values in (missing, wrong, plain | {"layers": [linked]}, plain | {"layers": [local]}):
        ask("PUT", path, json.dumps(values).encode(), Content_Type=MANIFEST)
    unknown = json.loads(index(repository, "", []).manifest)
    unknown["manifests"] = [{"mediaType": MANIFEST, "digest": NOWHERE, "size": 3}]
    ask("PUT", path, json.dumps(unknown).encode(), Content_Type=INDEX)
    good = json.dumps(plain).encode()
    for media_type in ("", "application/json", f"{MANIFEST}; charset=utf-8", "text/plain"):
        ask("PUT", path, good, Content_Type=media_type)
    ask("PUT", f"/v2/{repository}/manifests/{NOWHERE}", good, Content_Type=MANIFEST)
    ask("PUT", path, b" " * 5_000_000, Content_Type=MANIFEST)
    ask("PUT", f"/v2/{repository}/blobs/uploads/{UPLOAD}?digest={NOWHERE}", b"x")
    ask("GET", f"/v2/{repository}/blobs/{NOWHERE}")
    ask("GET", f"/v2/{repository}/blobs/sha256:1")
    hidden = b"hidden"
    _blob(ask, "hidden/other", hidden)
    for query in (
        f"mount={digest_of(hidden)}&from=hidden%2Fother",
        f"mount={NOWHERE}&from=hidden/other",
        f"mount={digest_of(layer)}&from={repository}&origin=example.com",
        f"mount={digest_of(layer)}",
        "mount=x&from=hidden/other",
        f"mount={digest_of(layer)}&from=UPPER",
    ):
        ask("POST", f"/v2/{repository}/blobs/uploads/?{query}")


FORMS: Mapping[str, Form] = {
    form.__name__: form
    for form in (containers_image, docker, containerd, in_chunks, signed, user_interfaces, odd)
}
