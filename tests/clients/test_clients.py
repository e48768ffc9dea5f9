"""Real clients do the same with a plain registry and with the program."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.clients.commands import CLIENTS
from tests.soak.both import Both, started
from tests.soak.client import INDEX, Image, describe, image, index
from tests.soak.commands import Clients

START_SECONDS = 60


@pytest.fixture
def both(tools: Path, tmp_path: Path) -> Iterator[Both]:
    with started(tools, tmp_path) as servers:
        yield servers


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: podman refuses a --runroot of more than 50 characters."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def clients(both: Both, tools: Path, folder: Path) -> Clients:
    environment = {
        "DOCKER_HOST": "unix://{folder}/docker.sock",
        "CONTAINERS_REGISTRIES_CONF": "{folder}/registries.conf",
        "COSIGN_PASSWORD": "of the key",
    }
    made = Clients(both, tools, folder, environment)
    fill(made.shared)
    for recorder in (both.plain, both.here):
        own = made.own(recorder)
        text = f'[[registry]]\nlocation = "{recorder.address}"\ninsecure = true\n'
        (own / "registries.conf").write_text(text)
    return made


@contextmanager
def dockerd(folder: Path) -> Iterator[None]:
    """Run a dockerd, which has no network but this machine's, and remembers what it has pushed."""
    command = ["dockerd", "--storage-driver=vfs", "--bridge=none", "--iptables=false"]
    places = {"--data-root": "data", "--exec-root": "run", "--pidfile": "pid"}
    command += [f"{option}={folder / 'dockerd' / name}" for option, name in places.items()]
    with (folder / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--host=unix://{folder}/docker.sock"], stdout=log, stderr=log
        )
    deadline = time.monotonic() + START_SECONDS
    while not (folder / "docker.sock").exists():
        assert time.monotonic() < deadline, (folder / "dockerd.log").read_text()
        time.sleep(0.1)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_does_the_same_with_both(both: Both, clients: Clients, client: str) -> None:
    with ExitStack() as stack:
        if client == "docker":
            for recorder in (both.plain, both.here):
                stack.enter_context(dockerd(clients.own(recorder)))
        problems = [x for command in CLIENTS[client] for x in clients.problems(command)]
    assert not problems, "\n".join(problems)


def fill(shared: Path) -> None:
    """Write what the clients push."""
    (shared / "file").write_bytes(random.Random(1).randbytes(100_000))
    chart = b"apiVersion: v2\nname: app\nversion: 1.0.0\n"
    (shared / "changed").mkdir()
    for folder, content in ((shared, chart), (shared / "changed", chart + b"description: x\n")):
        with tarfile.open(folder / "app-1.0.0.tgz", "w:gz") as archive:
            member = tarfile.TarInfo("app/Chart.yaml")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    (shared / "predicate.json").write_text("{}")
    (shared / "build").mkdir()
    (shared / "build" / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\nLABEL a=b\n")
    one, other = (runnable(architecture) for architecture in ("amd64", "arm64"))
    layout(shared / "image", one)
    layout(shared / "index", index("", "1", [one, other]))
    command = ["skopeo", "copy", "--insecure-policy", f"oci:{shared}/image:1"]
    subprocess.run([*command, f"docker-archive:{shared}/image.tar:local:1"], check=True)


def runnable(architecture: str) -> Image:
    """Return an image that clients can unpack."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        content = random.Random(architecture).randbytes(3_000_000)
        member = tarfile.TarInfo("file")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    layer = stream.getvalue()
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    packed = gzip.compress(layer, mtime=0)
    built = image("", "1", json.dumps(config).encode(), [packed])
    text = built.manifest.replace(b"layer.v1.tar", b"layer.v1.tar+gzip")
    return Image("", "1", built.blobs, text)


def layout(folder: Path, written: Image) -> None:
    """Write an image or an index as an OCI layout."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    for one in (written, *written.children):
        for digest, content in {**one.blobs, one.digest: one.manifest}.items():
            (blobs / digest.removeprefix("sha256:")).write_bytes(content)
    entry = describe(written.media_type, written.manifest)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    listed = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    (folder / "index.json").write_text(json.dumps(listed))
