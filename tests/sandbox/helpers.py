"""The sandbox that the tests share, and helpers to use it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from sandbox.build import images
from sandbox.cloud import spaces
from sandbox.engine import engine
from sandbox.layout import REGION, Layout

ROOT = Path(__file__).parent.parent.parent
NAME = f"sandbox-test{os.environ.get('PYTEST_XDIST_WORKER', '').removeprefix('gw')}"
"""The sandbox of this process: pytest-xdist's workers gw0, gw1 ... have one each."""

RUN_SECONDS = 900
"""How long a client may run: longer than any does, so that one that hangs is a failure."""

Result = subprocess.CompletedProcess[str]


def cli(command: str, name: str = NAME) -> Result:
    """Run one command of the sandbox, with its options, as the Makefile does."""
    return subprocess.run(
        [sys.executable, "-m", "sandbox", "--name", name, *command.split()],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that is up.

    Attributes:
        layout: Its layout.
        up_output: The output of `up`.
        stack: The stack that tests use; the sandbox's own if empty.
    """

    layout: Layout
    up_output: str
    stack: str = ""

    @cached_property
    def environment(self) -> dict[str, str]:
        own = {"PULUMI_STACK": self.stack} if self.stack else {}
        return engine.environment(self.layout) | own

    def run(self, *command: str | Path, stdin: str = "", fails: bool = False) -> Result:
        """Run a client; it must succeed, or fail if ``fails``."""
        name = f"{' '.join(map(str, command[:3]))} ..."
        try:
            result = subprocess.run(
                command,
                cwd=ROOT,
                env=self.environment,
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
                timeout=RUN_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{name} has not ended within {RUN_SECONDS} s") from error
        output = f"{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
        assert (result.returncode != 0) == fails, f"{name}\n{output}"
        return result

    def pulumi(self, *args: str, stdin: str = "", fails: bool = False) -> Result:
        return self.run("pulumi", "--non-interactive", *args, stdin=stdin, fails=fails)

    def kubectl(self, *args: str, stdin: str = "", fails: bool = False) -> Result:
        return self.run("kubectl", *args, stdin=stdin, fails=fails)

    def get(self, *args: str) -> Any:
        return json.loads(self.kubectl("get", *args, "--output=json").stdout)

    def pods(self, component: str = "registry", namespace: str = "registry") -> list[Any]:
        """Return a component's pods, without those that are being deleted."""
        selector = f"--selector=app.kubernetes.io/component={component}"
        items = self.get("pods", f"--namespace={namespace}", selector)["items"]
        return [item for item in items if "deletionTimestamp" not in item["metadata"]]

    def apply(self, *objects: dict[str, Any]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--filename=-", stdin=json.dumps(listed))

    def config(self, **values: Any) -> None:
        """Set nested keys of the stack's configuration: ``storage__onDestroy="delete"``."""
        pairs = [
            f"{key.replace('__', '.')}={value if isinstance(value, str) else json.dumps(value)}"
            for key, value in values.items()
        ]
        plaintext = [argument for pair in pairs for argument in ("--plaintext", pair)]
        self.pulumi("config", "set-all", "--path", *plaintext)

    @property
    def registry(self) -> str:
        return self.layout.hostname

    @cached_property
    def password(self) -> str:
        return self.pulumi("stack", "output", "password", "--show-secrets").stdout.strip()

    @cached_property
    def bucket(self) -> str:
        return self.pulumi("stack", "output", "storage_bucket").stdout.strip()

    def http(
        self, method: str, path: str, *, login: bool = False
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request through Traefik; return status, headers and body."""
        request = urllib.request.Request(f"https://{self.registry}{path}", method=method)
        if login:
            token = base64.b64encode(f"admin:{self.password}".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        ssl_context = ssl.create_default_context(cafile=str(self.layout.pki / "ca.crt"))
        try:
            with urllib.request.urlopen(request, timeout=30, context=ssl_context) as response:
                return response.status, dict(response.headers), response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read()

    @property
    def s3_endpoint(self) -> str:
        return self.layout.spaces_endpoint.replace("{{.Region}}", REGION)

    def s3(self, access_key: str = "", secret_key: str = "") -> Any:
        """Return an S3 client, by default with the root key."""
        cloud = spaces.secrets(self.layout)
        return boto3.client(
            "s3",
            endpoint_url=self.s3_endpoint,
            region_name=REGION,
            aws_access_key_id=access_key or cloud.root_access_key,
            aws_secret_access_key=secret_key or cloud.root_secret_key,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def api(self, method: str, path: str, body: object = None) -> Any:
        """Send one request to the API stand-in, with the account's token; return the body."""
        token = spaces.secrets(self.layout).token
        request = urllib.request.Request(
            f"{self.layout.api_endpoint}v2/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {token}"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read() or "null")

    def secret(self, prefix: str) -> dict[str, str]:
        """Return the decoded data of the registry's only Secret whose name has this prefix."""
        secrets = self.get("secrets", "--namespace=registry")["items"]
        (secret,) = [item for item in secrets if item["metadata"]["name"].startswith(prefix)]
        return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


@contextmanager
def second_stack(sandbox: Sandbox, name: str) -> Iterator[Sandbox]:
    """Create another stack in the same cluster; destroy it at the end.

    Args:
        sandbox: The sandbox.
        name: The suffix of the stack's name and namespace, and the first label of its hostname.
    """
    stack = f"{sandbox.layout.name}-{name}"
    second = replace(sandbox, stack=stack)
    # A run that was killed may have left one, with the salt of another passphrase.
    (ROOT / f"Pulumi.{stack}.yaml").unlink(missing_ok=True)
    second.pulumi("stack", "init", stack)
    try:
        second.config(
            hostname=f"{name}.{sandbox.layout.domain}",
            namespace=f"registry-{name}",
            registry__image=images.REGISTRY,
            registry__proxyImage=images.CADDY,
            scripts__image=images.PYTHON,
        )
        yield second
    finally:
        second.pulumi("destroy", "--yes", "--skip-preview")
        second.pulumi("stack", "rm", "--yes", stack)


def eventually(what: str, check: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until a condition holds; fail with its name if it does not.

    A check that fails, or gets no response, is tried again.
    """
    deadline = time.monotonic() + seconds
    while True:
        failure: Exception | None = None
        try:
            if check():
                return
        except (AssertionError, OSError, http.client.HTTPException) as error:
            failure = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {seconds} s: {what}") from failure
        time.sleep(0.3)


def define_kinds(sandbox: Sandbox, files: Iterable[Path]) -> None:
    """Create custom resource definitions, and wait until the API server serves their kinds.

    `kubectl wait` fails where there are no conditions yet.
    """
    apply = ("apply", "--server-side", "--output=name")
    applied = sandbox.kubectl(*apply, *(f"--filename={file}" for file in files)).stdout.split()
    names = {name.rpartition("/")[2] for name in applied}
    served = ("api-resources", "--output=name")
    eventually("the kinds are served", lambda: names <= {*sandbox.kubectl(*served).stdout.split()})


WAIT_UNTIL_ADMITTED = """
import socket, time
def wait_until_admitted(host, port):
    deadline = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection((host, port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
"""
"""For scripts in pods: the network policies' controller learns of a new pod a while after its
start."""


def pod(name: str, image: str, namespace: str = "default", **spec: object) -> dict[str, object]:
    """Return a pod that always pulls its image."""
    container = {"name": "main", "image": image, "imagePullPolicy": "Always"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }


def state(sandbox: Sandbox, name: str, namespace: str = "default") -> str:
    """Return why a pod's container does not run, or ``running``."""
    status = sandbox.get("pod", name, f"--namespace={namespace}")["status"]
    (container,) = status.get("containerStatuses") or [{"state": {}}]
    ((name, details),) = container["state"].items() or [("", {})]
    return str(details.get("reason") or name)


def runs(sandbox: Sandbox, name: str, namespace: str = "default") -> bool:
    """Return whether a pod runs."""
    return state(sandbox, name, namespace) == "running"
