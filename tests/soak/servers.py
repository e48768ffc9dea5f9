"""Two pods' registries and an S3 server, as processes on the loopback."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from components.registry.config import credentials_file, registry_config
from scripts.maintenance.registry_pods import Pods
from scripts.shared.objects import Objects
from scripts.shared.s3 import Bucket, Key

BUCKET, REGION = "images", "us-east-1"
START_SECONDS = 30

HOSTS = ("127.0.0.2", "127.0.0.3")
"""An address for each pod: they have one port, as the pods of a Service do."""


class LoopbackPods(Pods):
    """The registries, without a DNS name that leads to them."""

    def addresses(self) -> list[str]:
        return list(HOSTS)


@dataclass
class Servers:
    """The servers, started and stopped by name: ``s3`` and the hosts of :data:`HOSTS`.

    Attributes:
        tools: The folder of the binaries.
        folder: The folder of all that the servers write.
    """

    tools: Path
    folder: Path
    key: Key = field(default_factory=lambda: Key("SOAK", secrets.token_hex(20)))
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    s3_port: int = 0
    registry_port: int = 0

    def start(self) -> None:
        """Start all servers, with an empty bucket."""
        (self.folder / "buckets" / BUCKET).mkdir(parents=True)
        self.s3_port, self.registry_port = free_port(("127.0.0.1",)), free_port(HOSTS)
        command = [str(self.tools / "versitygw"), "--quiet", "--health", "/health"]
        command += ["--port", f"127.0.0.1:{self.s3_port}", "--region", REGION]
        root = {"ROOT_ACCESS_KEY": self.key.access, "ROOT_SECRET_KEY": self.key.secret}
        self._run("s3", [*command, "posix", str(self.folder / "buckets")], root)
        _wait(f"http://127.0.0.1:{self.s3_port}/health")
        (self.folder / "credentials").write_text(credentials_file(self.key.access, self.key.secret))
        for host in HOSTS:
            self.start_registry(host)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.s3_port}"

    def config(self, host: str, endpoint: str) -> Path:
        """Write the configuration of the program's pods, without the auth proxy before them."""
        config = yaml.safe_load(
            registry_config(
                endpoint=endpoint,
                region=REGION,
                bucket=BUCKET,
                path_style=True,
                root_directory="",
                redirect=False,
                webhooks={},
                metrics=False,
                http_secret="the same on each pod",
            )
        )
        config["http"]["addr"] = f"{host}:{self.registry_port}"
        config["log"] |= {"level": "error"}
        path = self.folder / f"{host}.yml"
        path.write_text(yaml.safe_dump(config))
        return path

    def environment(self) -> dict[str, str]:
        return {
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "credentials"),
            "OTEL_TRACES_EXPORTER": "none",
        }

    def start_registry(self, host: str, endpoint: str = "") -> None:
        """Start a registry; its requests to the storage may take a detour."""
        config = self.config(host, endpoint or self.endpoint)
        command = [str(self.tools / "registry"), "serve", str(config)]
        self._run(host, command, self.environment())
        _wait(f"http://{host}:{self.registry_port}/v2/")

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop a server, by default in order: a registry ends its requests first."""
        process = self.running.pop(name)
        process.send_signal(how)
        process.wait()

    def stop_all(self) -> None:
        for name in list(self.running):
            self.stop(name, signal.SIGKILL)

    def objects(self, threads: int = 16) -> Objects:
        return Objects(Bucket(self.endpoint, REGION, BUCKET, True, self.key), threads=threads)

    def pods(self) -> Pods:
        return LoopbackPods(f"pods:{self.registry_port}", "maintenance", "")

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, env=os.environ | environment, stdout=log, stderr=log
            )


def free_port(hosts: tuple[str, ...]) -> int:
    """Return a port that is free on all addresses."""
    while True:
        with socket.create_server((hosts[0], 0)) as first:
            port = first.getsockname()[1]
            try:
                for host in hosts[1:]:
                    socket.create_server((host, port)).close()
            except OSError:
                continue
            return int(port)


def _wait(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (OSError, urllib.error.URLError):
            assert time.monotonic() < deadline, f"{url} does not respond"
            time.sleep(0.05)
        else:
            return
