"""Two pods of the registry and an S3 server, as processes on the loopback."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from components.credentials import hash_password
from components.registry.auth_proxy import auth_proxy_config
from components.registry.config import credentials_file, registry_config
from components.registry.page import FOLDER, page_files
from components.registry.pod import PROXY_MEMORY_MIB
from components.registry.side_servers import MANIFESTS_ADDRESS, REGISTRY_ADDRESS
from components.registry.user_rules import ProxyUser
from scripts.maintenance.registry_pods import Pods
from scripts.shared.objects import Objects
from scripts.shared.s3 import Bucket, Key
from settings.immutable import ImmutableRule
from settings.schema import WebhookSettings

BUCKET, REGION = "images", "us-east-1"
START_SECONDS = 30

HOSTS = ("127.0.0.2", "127.0.0.3")
"""An address for each pod: they have one port, as the pods of a Service do."""


PASSWORD, PREVIOUS_PASSWORD = "of all users", "before the rotation"

PROCESSES = ("proxy", "manifests", "registry")
"""Of a pod, in the order in which they stop."""


class LoopbackPods(Pods):
    """The pods, without a DNS name that leads to them."""

    def addresses(self) -> list[str]:
        return list(HOSTS)


@dataclass
class Servers:
    """An S3 server, and the pods by the hosts of :data:`HOSTS`.

    Attributes:
        tools: The folder of the binaries.
        folder: The folder of all that the servers write.
        one_process: Whether a pod has only one registry, which remembers and takes all requests.
        webhooks: Who is notified of changes, by name.
        users: Who may log in; all have the password :data:`PASSWORD`.
        rights: What those may push and pull who may not push and pull everything.
        page: Whether there is a page for browsers. Its files are in `page` of the folder, where
            reports are to be written.
        scan: Whether images are scanned.
        immutable: The tags that stay what they are, as rules by name.
        full: Whether the disk is full for what is started from now on.
    """

    tools: Path
    folder: Path
    one_process: bool = False
    webhooks: Mapping[str, WebhookSettings] = field(default_factory=dict)
    users: Sequence[str] = ("admin",)
    rights: Mapping[str, Sequence[str]] = field(default_factory=dict)
    page: bool = False
    scan: bool = False
    immutable: Mapping[str, ImmutableRule] = field(default_factory=dict)
    full: bool = False
    key: Key = field(default_factory=lambda: Key("SOAK", secrets.token_hex(20)))
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    s3_port: int = 0
    registry_port: int = 0
    maintenance_port: int = 0
    probe_port: int = 0
    metrics_port: int = 0
    debug_ports: dict[str, int] = field(default_factory=dict)
    inner_ports: dict[str, int] = field(default_factory=dict)

    def start(self, s3_options: Sequence[str] = ()) -> None:
        """Start all servers, with an empty bucket; the options are more of the S3 server's."""
        (self.folder / "buckets" / BUCKET).mkdir(parents=True)
        self.s3_port, self.registry_port = free_port(("127.0.0.1",)), free_port(HOSTS)
        self.maintenance_port, self.probe_port = free_port(HOSTS), free_port(HOSTS)
        self.metrics_port = free_port(HOSTS)
        self.inner_ports = {x: free_port(HOSTS) for x in ("registry", "manifests")}
        self.debug_ports = {x: free_port(HOSTS) for x in ("registry", "manifests")}
        command = [str(self.tools / "versitygw"), "--quiet", "--health", "/health"]
        command += ["--port", f"127.0.0.1:{self.s3_port}", "--region", REGION, *s3_options]
        root = {"ROOT_ACCESS_KEY": self.key.access, "ROOT_SECRET_KEY": self.key.secret}
        self._run("s3", [*command, "posix", str(self.folder / "buckets")], root)
        wait_for(f"http://127.0.0.1:{self.s3_port}/health")
        (self.folder / "credentials").write_text(credentials_file(self.key.access, self.key.secret))
        for host in HOSTS:
            self.start_registry(host)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.s3_port}"

    def config(self, host: str, endpoint: str, name: str = "registry") -> Path:
        """Write the configuration of one of the registries of the program's pods."""
        config = yaml.safe_load(
            registry_config(
                memory=name == "registry",
                endpoint=endpoint,
                region=REGION,
                bucket=BUCKET,
                path_style=True,
                root_directory="",
                redirect=False,
                webhooks=self.webhooks,
                metrics=True,
                http_secret="the same on each pod",
            )
        )
        config["http"]["addr"] = f"{host}:{self.inner_ports[name]}"
        config["http"]["debug"]["addr"] = f"{host}:{self.debug_ports[name]}"
        config["log"] |= {"level": "error"}
        if self.one_process:
            del config["validation"]["manifests"]["indexes"]
        path = self.folder / f"{host}-{name}.yml"
        path.write_text(yaml.safe_dump(config))
        return path

    def proxy_config(self, host: str) -> Path:
        """Write the configuration of the auth proxy."""
        current, previous = (
            hash_password(x, "AAECAwQFBgcICQoLDA0ODw==") for x in (PASSWORD, PREVIOUS_PASSWORD)
        )
        maintenance, *users = (
            ProxyUser(
                name=x,
                password_hash=current,
                previous_hash=previous,
                push=self.rights.get(x, ["*"]),
                pull=self.rights.get(x, ["*"]),
            )
            for x in ("maintenance", *self.users)
        )
        text = auth_proxy_config(
            users=users,
            maintenance=maintenance,
            read_only=False,
            metrics=True,
            # The tests hold uploads on purpose.
            parallel_uploads=1000,
            tls=False,
            tcp_route=False,
            immutable=self.immutable,
            admin="admin",
            page=self.page,
            scan=self.scan,
        )
        if self.page:
            files = self.folder / "page"
            files.mkdir(exist_ok=True)
            for name, content in page_files().items():
                (files / name).write_text(content)
            text = text.replace(FOLDER, str(files))
        manifests = "registry" if self.one_process else "manifests"
        for address, name in ((REGISTRY_ADDRESS, "registry"), (MANIFESTS_ADDRESS, manifests)):
            text = text.replace(address, f"{host}:{self.inner_ports[name]}")
        config = json.loads(text)
        servers = config["apps"]["http"]["servers"]
        servers["registry"]["listen"] = [f"{host}:{self.registry_port}"]
        servers["maintenance"]["listen"] = [f"{host}:{self.maintenance_port}"]
        servers["metrics"]["listen"] = [f"{host}:{self.metrics_port}"]
        servers["probe"]["listen"] = [f"{host}:{self.probe_port}"]
        del config["apps"]["http"]["shutdown_delay"]
        path = self.folder / f"{host}-caddy.json"
        path.write_text(json.dumps(config))
        return path

    def environment(self) -> dict[str, str]:
        return {
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "credentials"),
            "OTEL_TRACES_EXPORTER": "none",
            # No folder can be created there.
            "XDG_DATA_HOME": "/proc/full" if self.full else str(self.folder),
            "TMPDIR": "/proc/full" if self.full else str(self.folder),
        }

    def start_registry(self, host: str, endpoint: str = "") -> None:
        """Start a pod; its requests to the storage may take a detour."""
        for name in reversed(PROCESSES):
            if name != "manifests" or not self.one_process:
                self.start_process(host, name, endpoint)

    def start_process(self, host: str, name: str, endpoint: str = "") -> None:
        """Start one of the processes of a pod, as :meth:`start_registry` does."""
        if name == "proxy":
            command = [str(self.tools / "caddy"), "run", "--config", str(self.proxy_config(host))]
            port = self.registry_port
        else:
            config = self.config(host, endpoint or self.endpoint, name)
            command = [str(self.tools / "registry"), "serve", str(config)]
            port = self.inner_ports[name]
        environment = self.environment()
        if name == "proxy":
            environment["GOMEMLIMIT"] = f"{PROXY_MEMORY_MIB * 9 // 10}MiB"
        self._run(f"{host} {name}", command, environment)
        wait_for(f"http://{host}:{port}/v2/")

    def stop(self, host: str, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop a pod, by default in order: requests end first."""
        for name in PROCESSES:
            if process := self.running.pop(f"{host} {name}", None):
                process.send_signal(how)
                process.wait()

    def stop_all(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()
        self.running.clear()

    def objects(self, threads: int = 16) -> Objects:
        return Objects(Bucket(self.endpoint, REGION, BUCKET, True, self.key), threads=threads)

    def pods(self) -> Pods:
        return LoopbackPods(f"pods:{self.maintenance_port}", "maintenance", PASSWORD)

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        path = Path("/dev/full") if self.full else self.folder / f"{name}.log"
        with path.open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, env=os.environ | environment, stdout=log, stderr=log
            )


def most_memory(pid: int) -> int:
    """Return the most memory that a process has had, in bytes: proc(5), VmHWM."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


_given: set[int] = set()
"""What :func:`free_port` has returned: the system may offer it again before something listens."""


def free_port(hosts: tuple[str, ...]) -> int:
    """Return a port that is free on all addresses, and that was not returned before."""
    while True:
        with socket.create_server((hosts[0], 0)) as first:
            port = int(first.getsockname()[1])
            try:
                for host in hosts[1:]:
                    socket.create_server((host, port)).close()
            except OSError:
                continue
            if port not in _given:
                _given.add(port)
                return port


def wait_for(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return  # Without a login.
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not respond"
            time.sleep(0.05)
        else:
            return
