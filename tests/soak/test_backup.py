"""The copy of the bucket on another kind of S3 server: it is served when the first one is lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.build import toolchain
from scripts.maintenance import copy_images
from scripts.maintenance.backup import back_up
from scripts.maintenance.images import lost
from scripts.maintenance.keys import blob_key
from scripts.maintenance.references import References
from scripts.maintenance.walk import Walk
from scripts.shared.objects import Objects, StorageError
from scripts.shared.s3 import Bucket
from tests.pinned_tools import MINIO
from tests.soak.client import Client, Image, image, index
from tests.soak.conftest import ROOT
from tests.soak.servers import BUCKET, HOSTS, REGION, START_SECONDS, Servers, free_port, wait_for

DAY = 86400.0


@pytest.fixture
def copies(servers: Servers, tmp_path: Path) -> Iterator[Bucket]:
    """Start MinIO with an empty bucket, which has the name and the key of the first one."""
    toolchain.build(servers.tools, [MINIO])
    port = free_port(("127.0.0.1",))
    keys = {"MINIO_ROOT_USER": servers.key.access, "MINIO_ROOT_PASSWORD": servers.key.secret}
    command = [str(servers.tools / "minio"), "server", "--quiet"]
    command += ["--address", f"127.0.0.1:{port}", str(tmp_path / "copies")]
    with (
        (tmp_path / "minio.log").open("wb") as log,
        subprocess.Popen(
            command, env={**os.environ, **keys, "MINIO_UPDATE": "off"}, stdout=log, stderr=log
        ) as process,
    ):
        try:
            wait_for(f"http://127.0.0.1:{port}/minio/health/live")
            bucket = Bucket(f"http://127.0.0.1:{port}", REGION, BUCKET, True, servers.key)
            # It says that it lives before it knows its keys.
            deadline = time.monotonic() + START_SECONDS
            while bucket.request("PUT").status == 503 and time.monotonic() < deadline:
                time.sleep(0.05)
            yield bucket
        finally:
            process.kill()


def client_of(servers: Servers) -> Client:
    return Client([f"{host}:{servers.registry_port}" for host in HOSTS], 1)


def images() -> list[Image]:
    """Return images that share layers, an index, and one with a layer of several parts."""
    chance = random.Random(1)
    shared, large = chance.randbytes(1000), chance.randbytes(17 * 2**20 + 1)
    plain = [
        image("team/app", str(number), chance.randbytes(100), [shared, chance.randbytes(100)])
        for number in range(5)
    ]
    children = [image("team/multi", "", chance.randbytes(100), [shared]) for _ in range(2)]
    several = index("team/multi", "latest", children)
    return [*plain, several, image("large", "1", chance.randbytes(100), [large])]


def test_another_registry_serves_the_copy_when_the_first_bucket_is_lost(
    servers: Servers, copies: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the servers' own checks, too: each body is signed with its SHA-256."""
    monkeypatch.setattr(copy_images, "PART_BYTES", 5 * 2**20)
    client, pushed = client_of(servers), images()
    for each in pushed:
        client.push(each)
    with servers.objects() as source, Objects(copies) as target:
        assert not back_up(source, target, DAY)
    client.close()
    for host in HOSTS:
        servers.stop(host)
    shutil.rmtree(servers.folder / "buckets" / BUCKET)
    for host in HOSTS:
        servers.start_registry(host, copies.endpoint)
    for each in pushed:
        client.pull(each)
    more = image("team/app", "later", b"config", [b"layer"])
    client.push(more)
    client.pull(more)
    client.close()


def test_a_server_refuses_what_has_another_hash(servers: Servers, copies: Bucket) -> None:
    """What the copy relies on: neither stores a body that was changed on its way."""
    for bucket in (copies, Bucket(servers.endpoint, REGION, BUCKET, True, servers.key)):
        with Objects(bucket) as objects:
            headers = dict(bucket.signed("PUT", bucket.url("a"), b"what was sent"))
            object.__setattr__(bucket, "signed", lambda *_, headers=headers: headers)
            with pytest.raises(StorageError, match="400"):
                objects.put("a", b"what arrives!")
            object.__delattr__(bucket, "signed")
            assert objects.get("a") is None


def test_a_copy_is_whole_whenever_it_is_killed_while_clients_push(
    servers: Servers, copies: Bucket, tmp_path: Path
) -> None:
    client, stopping = client_of(servers), threading.Event()
    pushed: list[Image] = []

    def push() -> None:
        chance, number = random.Random(2), 0
        while not stopping.is_set():
            number += 1
            layers = [chance.randbytes(chance.choice([100, 3 * 2**20]))]
            made = image(f"r{number % 3}", str(number % 20), chance.randbytes(50), layers)
            client.push(made)
            pushed.append(made)
        client.close()

    command = [sys.executable, "-m", "scripts.maintenance.backup", "--within-days=2"]
    first = Bucket(servers.endpoint, REGION, BUCKET, True, servers.key)
    for option, bucket in (("storage", first), ("target", copies)):
        file = tmp_path / f"{option}.json"
        file.write_text(json.dumps(connection(bucket)))
        command.append(f"--{option}={file}")
    thread, chance = threading.Thread(target=push), random.Random(3)
    thread.start()
    try:
        kills = 0
        while kills < 8:
            run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
            time.sleep(chance.uniform(0.2, 1.5))
            kills += run.poll() is None
            run.kill()
            run.wait()
            with Objects(copies) as target:
                walk = Walk(target, References(target))
                assert not list(lost(walk))
    finally:
        stopping.set()
        thread.join()
    last = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert last.returncode == 0, last.stdout + last.stderr
    assert "last good copy: " in last.stdout
    newest = {(x.repository, x.tag): x.digest for x in pushed}
    with Objects(copies) as target:
        walk = Walk(target, References(target))
        for (name, tag), digest in newest.items():
            assert walk.repositories[name].tags[tag].digest == digest
        assert not list(lost(walk))
        for each in pushed[-5:]:
            for digest in each.blobs:
                assert target.sha256(blob_key(digest)) == digest.partition(":")[2]


def connection(bucket: Bucket) -> dict[str, str]:
    return {
        "endpoint": bucket.endpoint,
        "region": bucket.region,
        "bucket": bucket.name,
        "access_key": bucket.key.access,
        "secret_key": bucket.key.secret,
        "path_style": "true",
        "root_directory": "",
    }
