"""A registry whose users sign images, and whose maintenance goes on."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from components.registry.config import cache_config, login_file
from scripts.client.restore import Restore
from scripts.maintenance.plan import Times
from scripts.maintenance.retention import Retention, Rule
from scripts.shared.registry_client import Registry, basic
from settings.immutable import ImmutableRule
from tests.clients.test_clients import layout
from tests.soak import collector
from tests.soak.client import Image
from tests.soak.pair import AuthProxy
from tests.soak.servers import BUCKET, HOSTS, REGION, START_SECONDS, Servers, free_port, wait_for

RIGHTS: dict[str, tuple[list[str], list[str]]] = {
    "admin": (["*"], ["*"]),
    "ci": (["team/*"], []),
    "reader": ([], ["team/*"]),
    "other": (["others/*"], ["others/*"]),
}

RETENTION = Retention([Rule("team", ["team/*"], last=0, days=0, matching=["kept"])], 0)
"""Nothing stays but the tags with that word, and what belongs to them."""

TIMES = Times(keep=20, grace=2)
"""Copies must be there for longer than it takes to restore images."""

MAINTENANCE_SECONDS = 120


@dataclass
class World:
    """The registry, and its users.

    Attributes:
        host: Its host and port.
        shared: The folder of keys, and of what is pushed.
        homes: The folder of the users' folders.
    """

    servers: Servers
    host: str
    shared: Path
    homes: Path

    def run(self, user: str, command: str, **places: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `tests/clients/signing.py` with a user's login."""
        home = self.homes / user
        home.mkdir(exist_ok=True)
        token = base64.b64encode(f"{user}:{user}".encode()).decode()
        logins = home / "config.json"
        logins.write_text(json.dumps({"auths": {self.host: {"auth": token}}}))
        own = {"HOME": str(home), "DOCKER_CONFIG": str(home), "REGISTRY_AUTH_FILE": str(logins)}
        keys = {"COSIGN_PASSWORD": "of the key", "NOTATION_CONFIG": str(self.shared)}
        path = {"PATH": f"{self.servers.tools}:{os.environ['PATH']}"}
        with tempfile.TemporaryDirectory(dir=self.homes) as empty:
            places |= {"host": self.host, "shared": str(self.shared), "homes": str(self.homes)}
            places |= {"folder": empty}
            return subprocess.run(
                shlex.split(command.format(**places)),
                env=os.environ | own | keys | path,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                cwd=empty,
            )

    def done(self, user: str, command: str, **places: str) -> str:
        """Run a command that must succeed, and return its output."""
        result = self.run(user, command, **places)
        assert result.returncode == 0, f"{user}: {command} {places}:\n{result.stdout}"
        return result.stdout

    def push(self, version: str, pushed: Image) -> str:
        """Push an image to a tag, and return how it is named by its digest."""
        layout(self.shared / "images" / version, pushed)
        self.done(
            "ci",
            "skopeo copy --all --dest-tls-verify=false oci:{shared}/images/{version}:1 "
            "docker://{host}/team/app:{version}",
            version=version,
        )
        return f"{self.host}/team/app@{pushed.digest}"

    def tags(self, repository: str) -> list[str]:
        return self.done("reader", f"oras repo tags --plain-http {{host}}/{repository}").split()

    def blobs(self) -> set[str]:
        """Return the digests of all that is in the bucket."""
        with self.servers.objects() as objects:
            keys = [x.key for x in objects.list("docker/registry/v2/blobs/")]
        return {f"sha256:{key.split('/')[-2]}" for key in keys}

    def maintain(self, gone: Callable[[], bool]) -> None:
        """Run the maintenance until something is gone."""
        deadline = time.monotonic() + MAINTENANCE_SECONDS
        while not gone():
            assert time.monotonic() < deadline
            with self.servers.objects() as objects:
                assert not collector.run(objects, self.servers.pods(), TIMES)["problems"]

    def restore(self, repository: str, tag: str) -> None:
        """Bring back what a tag has named."""
        registry = Registry(f"http://{self.host}", basic("admin", "admin"), None)
        with self.servers.objects() as objects:
            list(Restore(objects, registry).tag(repository, tag, None))


@contextmanager
def signed_world(tools: Path, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[World]:
    """Start everything, with a rule that lets no tag change, and make keys."""
    patch.setattr(collector, "RETENTION", RETENTION)
    folders = [folder / name for name in ("servers", "proxy", "shared", "users")]
    for each in folders:
        each.mkdir()
    with ExitStack() as stack:
        servers = Servers(tools, folders[0])
        stack.callback(servers.stop_all)
        servers.start()
        registry, manifests = (
            f"{HOSTS[0]}:{servers.inner_ports[name]}" for name in ("registry", "manifests")
        )
        auth_proxy = AuthProxy(tools, folders[1], registry, manifests)
        auth_proxy.configure(RIGHTS, immutable={"all": ImmutableRule(repositories=["*"])})
        auth_proxy.start()
        stack.callback(auth_proxy.stop)
        world = World(servers, f"127.0.0.1:{auth_proxy.port}", folders[2], folders[3])
        world.done("admin", f"sh -ec {shlex.quote(_KEYS)}")
        (world.shared / "trustpolicy.json").write_text(json.dumps(_TRUST))
        yield world


@contextmanager
def cached(world: World, folder: Path) -> Iterator[World]:
    """Run a cache of the registry, which pulls as `reader`, and yield what users then reach."""
    servers, port = world.servers, free_port(HOSTS[:1])
    config = cache_config(
        name="docker",
        upstream=f"http://{world.host}",
        endpoint=servers.endpoint,
        region=REGION,
        bucket=BUCKET,
        path_style=True,
        root_directory="",
        redirect=False,
    ).replace("addr: :5000", f"addr: {HOSTS[0]}:{port}")
    (folder / "config.yml").write_text(config)
    (folder / "get").write_text(login_file("reader", "reader"))
    process = subprocess.Popen(
        [str(servers.tools / "registry"), "serve", "config.yml"],
        cwd=folder,
        env=os.environ | servers.environment(),
    )
    proxy = AuthProxy(servers.tools, folder, "127.0.0.1:1", cache=f"{HOSTS[0]}:{port}")
    proxy.configure({**RIGHTS, "reader": ([], ["cache/docker/team/*"])})
    try:
        wait_for(f"http://{HOSTS[0]}:{port}/v2/")
        proxy.start()
        try:
            yield replace(world, host=f"127.0.0.1:{proxy.port}")
        finally:
            proxy.stop()
    finally:
        process.terminate()
        process.wait()


_KEYS = """
cd {shared}
echo anything > file
echo '{{"spdxVersion": "SPDX-2.3", "name": "app"}}' > sbom.json
cosign generate-key-pair
mkdir -p localkeys truststore/x509/ca/test
openssl req -x509 -config /dev/null -newkey rsa:2048 -nodes -subj /C=US/ST=x/O=x/CN=x \
    -addext basicConstraints=critical,CA:false -addext keyUsage=critical,digitalSignature \
    -keyout localkeys/test.key -out localkeys/test.crt
cp localkeys/test.crt truststore/x509/ca/test/
"""

_TRUST = {
    "version": "1.0",
    "trustPolicies": [
        {
            "name": "test",
            "registryScopes": ["*"],
            "signatureVerification": {"level": "strict"},
            "trustStores": ["ca:test"],
            "trustedIdentities": ["*"],
        }
    ],
}


@contextmanager
def buildkit(world: World, folder: Path) -> Iterator[None]:
    """Run a BuildKit that all users reach, and push the image that makes its SBOMs.

    Args:
        folder: An empty one, with a short name: it holds sockets.
    """
    config, address = folder / "buildkitd.toml", f"unix://{folder}/buildkitd.sock"
    config.write_text(f'[registry."{world.host}"]\nhttp = true\n')
    command = [str(world.servers.tools / "buildkitd"), f"--config={config}", f"--addr={address}"]
    command += [f"--root={folder}/root", "--containerd-worker=false"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--oci-worker-snapshotter=native"], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (folder / "buildkitd.sock").exists():
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        for user in RIGHTS:
            world.done(user, f"buildx create --use --driver=remote {address}")
        world.done("ci", f"sh -ec {shlex.quote(_GENERATOR)}")
        yield
    finally:
        process.terminate()
        process.wait()


_GENERATOR = """
cp "$(command -v sbom-generator)" .
printf 'FROM scratch\nCOPY sbom-generator /\nENTRYPOINT ["/sbom-generator"]\n' > Dockerfile
buildx build --push --provenance=false --tag={host}/team/generator:kept .
"""


def write_sources(world: World, version: str) -> None:
    """Write what :data:`tests.clients.signing.PUSHED` makes images of."""
    world.done("ci", f"sh -ec {shlex.quote(_SOURCES)}", version=version)


_SOURCES = """
mkdir {shared}/{version}
echo {version} > {shared}/{version}/file
printf 'FROM scratch\nCOPY file /\n' > {shared}/{version}/Dockerfile
export GNUPGHOME={homes}/gnupg
if ! test -e $GNUPGHOME; then
    mkdir -m 700 $GNUPGHOME
    gpg --quiet --batch --passphrase '' --quick-generate-key signer rsa2048 sign never
    gpg --quiet --batch --export > {shared}/keyring.gpg
    gpg --quiet --batch --export-secret-keys > {shared}/key.gpg
    gpgconf --kill all
fi
mkdir chart
printf 'apiVersion: v2\nname: chart\nversion: 1.0.0\n' > chart/Chart.yaml
helm package --sign --key=signer --keyring={shared}/key.gpg --version=1.0.0-{version} \
    --destination={shared} chart
"""
