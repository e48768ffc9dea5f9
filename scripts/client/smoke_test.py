"""Test that a registry works: log in, be refused, push, pull, list and delete.

It runs in the Job of every `pulumi up`, inside the cluster, as a user who may do nothing else. It
also runs on your machine, where it goes through DNS, TLS and ingress:

    pulumi stack output password --show-secrets |
        python3 -m scripts.client.smoke_test https://registry.example.com \
            --username admin --password-file -

Plain Python 3.9 with nothing installed. The requests are those of the OCI distribution
specification: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import ssl
import sys
import time
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.shared.registry_client import (
    MANIFEST,
    Registry,
    RegistryError,
    add_certificate,
    basic,
    ssl_context,
)

REPOSITORY = "smoke-test"
"""The repository that the test uses, and leaves empty."""

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_BYTES = 100_000
"""Small enough to cost nothing, too large for any client to have sent it along with its headers."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def digest(content: bytes) -> str:
    """Return the digest that content is addressed by."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def wait_for_login(registry: Registry, seconds: float, replicas: int) -> None:
    """Wait until each replica of the registry lets its user in.

    Raises:
        RegistryError: If it did not until then.
    """
    deadline = time.monotonic() + seconds
    # A Service chooses a pod for each connection at random: in so many, one is missed with a
    # probability of 1 to 20,000.
    missing = in_a_row = 1 if replicas == 1 else 10 * replicas
    while missing:
        try:
            registry.call("GET", "v2/", [200])
        except RegistryError as error:
            if time.monotonic() > deadline:
                raise RegistryError(f"cannot log in: {error}") from None
            time.sleep(0.5)
            missing = in_a_row
        else:
            missing -= 1


def test(
    url: str,
    username: str,
    password: str,
    wait: float,
    replicas: int,
    tls: ssl.SSLContext | None = None,
) -> Iterator[str]:
    """Use a registry as a client does, and yield each thing that worked.

    It begins once more if a connection is refused or closed: after a rollout, a Service leads to a
    pod that is ending until each node's kube-proxy has heard of it.

    Raises:
        RegistryError: On the first thing that did not work.
    """
    registry, content = Registry(url, basic(username, password), tls), os.urandom(LAYER_BYTES)
    try:
        yield from _test(registry, content, username, password, wait, replicas)
    except RegistryError as error:
        if not isinstance(error.__cause__, ConnectionError):
            raise
        yield f"began once more, since a pod may just have ended: {error}"
        # The same content: what was left is overwritten, and deleted in the end.
        yield from _test(registry, content, username, password, wait, replicas)


def _test(
    registry: Registry, content: bytes, username: str, password: str, wait: float, replicas: int
) -> Iterator[str]:
    wait_for_login(registry, wait, replicas)
    yield f"logged in as {username}"

    url, tls = registry.url, registry.tls
    tag = hashlib.sha256(content).hexdigest()[:12]
    paths = ["tags/list", f"manifests/{tag}", f"blobs/{digest(content)}", "blobs/uploads/"]
    routes = ["v2/", "v2/_catalog", *(f"v2/{REPOSITORY}/{path}" for path in paths)]
    for route in routes:
        for method in METHODS:
            Registry(url, None, tls).call(method, route, [401])
    yield f"refused anonymous clients, {len(METHODS)} methods on {len(routes)} routes"

    def refuse(name: str) -> None:
        Registry(url, basic(name, password + "x"), tls).call("GET", "v2/", [401])

    # A wrong login waits for its response; meanwhile the right one is used.
    with ThreadPoolExecutor() as pool:
        refusals = pool.map(refuse, (username, username + "x"))
        yield from _use(registry, content, tag)
        list(refusals)
    yield "refused a wrong password and a wrong user"


def push_blob(registry: Registry, content: bytes) -> dict[str, str | int]:
    """Push a blob in one piece, and return its digest and size."""
    uploads = f"v2/{REPOSITORY}/blobs/uploads/"
    start = registry.call("POST", uploads, [202]).headers.get("location", uploads)
    sent = registry.call("PATCH", start, [202], content).headers.get("location", start)
    separator = "&" if "?" in sent else "?"
    query = urllib.parse.urlencode({"digest": digest(content)})
    registry.call("PUT", f"{sent}{separator}{query}", [201], b"")
    return {"digest": digest(content), "size": len(content)}


def _use(registry: Registry, content: bytes, tag: str) -> Iterator[str]:
    """Push an image, pull, list and delete it, and yield each thing that worked."""
    rootfs = {"type": "layers", "diff_ids": [digest(content)]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, **push_blob(registry, config)},
            "layers": [{"mediaType": LAYER, **push_blob(registry, content)}],
        }
    ).encode()
    # One tag starts like the other: registries before 3.1.2 listed only one of the two on S3.
    tags = [f"{tag}.2", f"{tag}.20"]
    for name in tags:
        route = f"v2/{REPOSITORY}/manifests/{name}"
        registry.call("PUT", route, [201], manifest, {"Content-Type": MANIFEST})
    yield f"pushed an image of {len(content)} bytes"

    pulled = registry.call("GET", f"v2/{REPOSITORY}/manifests/{digest(manifest)}", [200]).body
    layer = registry.call("GET", f"v2/{REPOSITORY}/blobs/{digest(content)}", [200]).body
    if (pulled, layer) != (manifest, content):
        raise RegistryError("what was pulled by digest is not what was pushed")
    yield "pulled it back by digest, byte for byte"

    listed = set(tags) & set(registry.names(f"v2/{REPOSITORY}/tags/list", "tags"))
    if listed != set(tags):
        raise RegistryError(f"pushed the tags {tags}, but of these only {listed} are listed")
    yield "listed both of its tags"

    registry.call("DELETE", f"v2/{REPOSITORY}/manifests/{digest(manifest)}", [202])
    registry.call("GET", f"v2/{REPOSITORY}/manifests/{tags[0]}", [404])
    yield "deleted it"


def main() -> int:
    """Run from the command line, and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Test that a registry works: log in, be refused, push, pull, list, delete.",
        epilog="Exits with 0 if all of it worked, with 1 on the first thing that did not.",
    )
    parser.add_argument("url", help="such as https://registry.example.com")
    parser.add_argument("--username", required=True, help="the user to log in as")
    parser.add_argument("--password-file", required=True, help="that user's password; - for stdin")
    parser.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS", help="for the first login; default 0"
    )
    parser.add_argument(
        "--replicas", type=int, default=1, help="pods that must know the login; default 1"
    )
    add_certificate(parser)
    args = parser.parse_args()
    if not args.url.startswith(("https://", "http://")):
        parser.error(f"{args.url}: expected a URL, such as https://registry.example.com")
    try:
        source = args.password_file
        password = (sys.stdin.read() if source == "-" else Path(source).read_text()).rstrip("\n")
        tls = ssl_context(args)
        for step in test(args.url, args.username, password, args.wait, args.replicas, tls):
            print(f"ok: {step}", flush=True)
    except (RegistryError, OSError, ValueError) as error:  # the latter two: of the files
        print(f"FAILED: {error}", flush=True)
        return 1
    print(f"passed: {args.url} works")
    return 0


if __name__ == "__main__":
    sys.exit(main())
