"""A cache of another registry, behind the auth proxy, on the bucket of the images."""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from components.registry.config import cache_config, login_file
from scripts.maintenance.keys import CACHES
from tests.soak.client import MANIFEST, digest_of, image
from tests.soak.pair import AuthProxy, login
from tests.soak.servers import BUCKET, HOSTS, REGION, Servers, free_port, wait_for
from tests.soak.upstream import State

RIGHTS = {
    "maintenance": ([], []),
    "admin": (["*"], []),
    "pull": ([], ["*"]),
    "reader": ([], ["cache/docker/library/*"]),
    "team": (["team/*"], []),
}
LAYERS = [random.Random(1).randbytes(3_000_000), b"small"]
FIRST = image("library/app", "latest", b'{"version": 1}', LAYERS)
SECOND = image("library/app", "latest", b'{"version": 2}', [LAYERS[0], b"another"])
APP = "/v2/cache/docker/library/app"


@dataclass
class Cache:
    """The cache `docker`, and the auth proxy before it.

    Attributes:
        state: What the other registry does.
        pods: The processes of the cache.
    """

    servers: Servers
    state: State
    url: str
    port: int = field(default_factory=lambda: free_port(HOSTS))
    user: str = ""
    password: str = ""
    pods: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    proxy: AuthProxy | None = None

    @property
    def log(self) -> Path:
        return self.servers.folder / "cache.log"

    def start(self, host: str = HOSTS[0]) -> None:
        """Start a pod of the cache."""
        folder = self.servers.folder / f"cache-{host}"
        folder.mkdir(exist_ok=True)
        config = cache_config(
            name="docker",
            upstream=self.url,
            endpoint=self.servers.endpoint,
            region=REGION,
            bucket=BUCKET,
            path_style=True,
            root_directory="",
            redirect=False,
        )
        text = config.replace("addr: :5000", f"addr: {host}:{self.port}")
        (folder / "config.yml").write_text(text)
        (folder / "get").write_text(login_file(self.user, self.password))
        with self.log.open("ab") as log:
            self.pods[host] = subprocess.Popen(
                [str(self.servers.tools / "registry"), "serve", "config.yml"],
                cwd=folder,
                env=os.environ | self.servers.environment(),
                stdout=log,
                stderr=log,
            )
        wait_for(f"http://{host}:{self.port}/v2/")

    def stop(self) -> None:
        for pod in self.pods.values():
            pod.terminate()
            pod.wait()
        self.pods.clear()

    def ask(
        self, path: str, user: str = "pull", method: str = "GET", body: bytes | None = None
    ) -> tuple[int, bytes]:
        """Return the status and the body of a response to a client."""
        assert self.proxy
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=60)
        headers = {"Authorization": login(user), "Accept": MANIFEST}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        try:
            return response.status, response.read()
        finally:
            connection.close()

    def pull(self) -> str:
        """Pull the image by its tag, as a node does, and return its digest."""
        status, manifest = self.ask(f"{APP}/manifests/latest")
        assert status == 200, manifest
        digest = digest_of(manifest)
        assert self.ask(f"{APP}/manifests/{digest}") == (200, manifest)
        content = json.loads(manifest)
        for part in [content["config"], *content["layers"]]:
            status, blob = self.ask(f"{APP}/blobs/{part['digest']}")
            assert (status, digest_of(blob)) == (200, part["digest"])
        return digest

    def objects(self, prefix: str = CACHES) -> dict[str, str]:
        """Return the objects below a prefix, with what tells that one was written anew."""
        return {x.key: f"{x.etag} {x.modified}" for x in self.servers.objects().list(prefix)}
