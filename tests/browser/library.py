"""A registry with images of all kinds, as users of the page have them."""

from __future__ import annotations

import gzip
import json
import os
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from components.reports import rights_key
from scripts.maintenance import usage_history
from scripts.maintenance.maintain import Maintenance, Task
from scripts.maintenance.remembered import day, write
from scripts.maintenance.retention import Retention
from scripts.shared.reports import FINDINGS, USAGE, report_files
from tests.soak.client import INDEX, MANIFEST, Client, Image, describe, digest_of, image
from tests.soak.rules import TIMES
from tests.soak.servers import BUCKET, HOSTS, Servers

MANY = 10_000
RIGHTS = {"ci": ["team/*", "base"], "new": ["elsewhere/*"]}

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"

SPDX = "application/spdx+json"
NOTATION = "application/vnd.cncf.notary.signature"


def built(repository: str, tag: str, megabytes: float, **config: Any) -> Image:
    """Return an image that some tool has built."""
    text = {"architecture": "amd64", "os": "linux", "created": "2026-11-20T10:00:00Z", **config}
    layers = [os.urandom(int(megabytes * 2**20))]
    return image(repository, tag, json.dumps(text).encode(), layers)


def artifact(repository: str, tag: str, kind: str, **more: Any) -> Image:
    """Return a manifest that is no image of a system."""
    content = os.urandom(2000)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": describe(kind, b"{}"),
        "layers": [describe("application/octet-stream", content)],
        **more,
    }
    blobs = {digest_of(x): x for x in (b"{}", content)}
    return Image(repository, tag, blobs, json.dumps(manifest).encode())


def index(repository: str, tag: str, children: list[tuple[Image, dict[str, Any]]]) -> Image:
    """Return an index, with more fields of each child."""
    manifests = [{**describe(x.media_type, x.manifest), **more} for x, more in children]
    text = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
    return Image(repository, tag, {}, text.encode(), tuple(x for x, _ in children), INDEX)


def signed(client: Client, name: str) -> None:
    """Push an image for two platforms, with all that can sign or describe it."""
    arm = {"platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}
    made_by = {"vnd.docker.reference.type": "attestation-manifest"}
    whole = index(
        name,
        "2.0.0",
        [
            (built(name, "", 3), {"platform": {"os": "linux", "architecture": "amd64"}}),
            (built(name, "", 2.5, architecture="arm64"), arm),
            (
                artifact(name, "", "application/vnd.oci.image.config.v1+json"),
                {
                    "annotations": made_by,
                    "platform": {"os": "unknown", "architecture": "unknown"},
                },
            ),
        ],
    )
    client.push(whole)
    tag = whole.digest.replace(":", "-")
    client.push(artifact(name, f"{tag}.sig", "application/vnd.oci.image.config.v1+json"))
    kinds = [(artifact(name, "", kind), {"artifactType": kind}) for kind in (SPDX, NOTATION)]
    client.push(index(name, tag, kinds))


def fill(servers: Servers) -> None:
    """Push everything, and let the maintenance look at it."""
    client = Client([f"{HOSTS[0]}:{servers.registry_port}"], 1)
    for number in range(7):
        client.push(built("team/app", f"1.{number}.0", 1 + number / 2))
    signed(client, "team/app")
    labels = {"org.opencontainers.image.source": "https://git.example.com/team/web"}
    client.push(built("team/web", "2026-11-30", 6, config={"Labels": labels}))
    client.push(built("base", "12", 4))
    client.push(artifact("charts/web", "0.3.1", "application/vnd.cncf.helm.config.v1+json"))
    for number in range(30):
        client.push(built(f"tools/tool-{number:02}", "1", 0.01))
    config = {"architecture": HOSTILE, "config": {"Labels": {HOSTILE: HOSTILE}}}
    evil = built("guest/app", "hostile", 0.01, **config)
    manifest = json.loads(evil.manifest) | {"annotations": {HOSTILE: HOSTILE}}
    client.push(Image("guest/app", "hostile", evil.blobs, json.dumps(manifest).encode()))
    client.push(built("many", "v0", 0.01))
    folder = "docker/registry/v2/repositories/many/_manifests/tags"
    tags = servers.folder / "buckets" / BUCKET / folder
    for number in range(1, MANY):
        (tags / f"v{number}/current").mkdir(parents=True)
        os.link(tags / "v0/current/link", tags / f"v{number}/current/link")
    look(servers)
    client.push(built("constructor", "constructor", 0.01))
    client.close()
    scan(servers)


def look(servers: Servers) -> None:
    """Do what the maintenance does each hour, after 40 days."""
    with servers.objects() as objects:
        next(objects.list(""))  # Which tells it the time.
        days = {
            day(objects.now - 86400 * age): {"team/app": (60 - age) * 2**19, "base": 2**22}
            for age in range(1, 40)
        }
        write(objects, usage_history.KEY, days)
        task = Task("1 page", servers.pods(), Retention(), False, collect=False, times=TIMES)
        with redirect_stdout(StringIO()):
            maintenance = Maintenance(objects, task)
            assert maintenance.run(), maintenance.problems
    rights = {rights_key(x): x for x in (["*"], RIGHTS["ci"])}
    for name, content in report_files(USAGE, rights, maintenance.report).items():
        (servers.folder / "page" / name).write_bytes(content)


def scan(servers: Servers) -> None:
    """Write what a scan has found in an image, an odd one, and one that cannot be scanned."""
    client = Client([f"{HOSTS[0]}:{servers.registry_port}"], 1)
    digests = {
        tag: client.call("HEAD", f"/v2/{tag.replace(':', '/manifests/')}", (200,)).headers[
            "docker-content-digest"
        ]
        for tag in ("team/app:2.0.0", "guest/app:hostile", "base:12")
    }
    client.close()
    counts = [[1, 1], [12, 3], [0, 0], [0, 0], [0, 0]]
    rows = [["critical", "CVE-2026-9001", "openssl", "3.5.1", "3.5.4"]]
    odd = [[HOSTILE] * 5]
    images: dict[str, Any] = {
        digests["team/app:2.0.0"]: {"scanned": 1796000000, "counts": counts, "worst": rows},
        digests["guest/app:hostile"]: {"scanned": 1, "counts": counts, "worst": odd, "old": True},
        digests["base:12"]: {"tried": 1796000000, "failed": HOSTILE},
    }
    for rights, told in ((["*"], images), (RIGHTS["ci"], {})):
        found = {"time": 1796000000, "database": 1796000000, "cut": False, "images": told}
        content = gzip.compress(json.dumps(found).encode())
        (servers.folder / "page" / f"{FINDINGS}.{rights_key(rights)}.json.gz").write_bytes(content)
