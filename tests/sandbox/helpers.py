"""The sandbox that the tests use, and what they do to it."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
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
NAME = "sandbox-test"
Done = subprocess.CompletedProcess[str]


def cli(command: str, name: str = NAME) -> Done:
    """Run one command of the sandbox, as the Makefile does."""
    return subprocess.run(
        [sys.executable, "-m", "sandbox", "--name", name, command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@dataclass(frozen=True)
class Sandbox:
    """The sandbox that is up, with what tests do to it.

    Attributes:
        layout: Where it is.
        said: What `up` said.
        stack: The stack that tests work on; the sandbox's own when empty.
    """

    layout: Layout
    said: str
    stack: str = ""

    @cached_property
    def environment(self) -> dict[str, str]:
        own = {"PULUMI_STACK": self.stack} if self.stack else {}
        return engine.environment(self.layout) | own

    def run(self, *command: str | Path, given: str = "", fails: bool = False) -> Done:
        """Run a client; it must succeed, or fail, as told."""
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        said = (
            f"{' '.join(map(str, command[:3]))} ...\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
        assert (done.returncode != 0) == fails, said
        return done

    def pulumi(self, *arguments: str, given: str = "", fails: bool = False) -> Done:
        return self.run("pulumi", "--non-interactive", *arguments, given=given, fails=fails)

    def kubectl(self, *arguments: str, given: str = "", fails: bool = False) -> Done:
        return self.run("kubectl", *arguments, given=given, fails=fails)

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "--output=json").stdout)

    def apply(self, *objects: dict[str, Any]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--filename=-", given=json.dumps(listed))

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
        return self.pulumi("stack", "output", "bucket").stdout.strip()

    def http(
        self, method: str, path: str, *, login: bool = False
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request through Traefik, and answer status, headers and body."""
        request = urllib.request.Request(f"https://{self.registry}{path}", method=method)
        if login:
            token = base64.b64encode(f"admin:{self.password}".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        trust = ssl.create_default_context(cafile=str(self.layout.pki / "ca.crt"))
        try:
            with urllib.request.urlopen(request, timeout=30, context=trust) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read()

    def s3(self, access_key: str = "", secret_key: str = "") -> Any:
        """Answer an S3 client, by default one that may do everything."""
        cloud = spaces.secrets(self.layout)
        return boto3.client(
            "s3",
            endpoint_url=self.layout.spaces_endpoint.replace("{{.Region}}", REGION),
            region_name=REGION,
            aws_access_key_id=access_key or cloud.root_access_key,
            aws_secret_access_key=secret_key or cloud.root_secret_key,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def api(self, method: str, path: str, body: object = None) -> Any:
        """Send one request to the API stand-in, as the account's owner, and answer the body."""
        token = spaces.secrets(self.layout).token
        request = urllib.request.Request(
            f"{self.layout.api_endpoint}v2/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {token}"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or "null")

    def secret(self, prefix: str) -> dict[str, str]:
        """Answer the decoded data of the registry's one Secret whose name starts so."""
        found = self.get("secrets", "--namespace=registry")["items"]
        (secret,) = [item for item in found if item["metadata"]["name"].startswith(prefix)]
        return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


@contextmanager
def second_stack(sandbox: Sandbox, name: str) -> Iterator[Sandbox]:
    """Make a stack beside the sandbox's own, in the same cluster; destroy it at the end.

    Args:
        sandbox: The sandbox.
        name: Tells it from the first one: in the stack's name, its namespace and its host name.
    """
    stack = f"{sandbox.layout.name}-{name}"
    second = replace(sandbox, stack=stack)
    # Of a run that was killed; its salt belongs to another passphrase.
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
    """Wait until something is so; fail with its name if it does not come to be."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.3)


def pod(name: str, image: str, namespace: str = "default", **spec: object) -> dict[str, object]:
    """Describe a pod that pulls its image anew."""
    container = {"name": "main", "image": image, "imagePullPolicy": "Always"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }


def state(sandbox: Sandbox, name: str, namespace: str = "default") -> str:
    """Tell why a pod's container does not run, or that it does: ``running``."""
    status = sandbox.get("pod", name, f"--namespace={namespace}")["status"]
    (container,) = status.get("containerStatuses") or [{"state": {}}]
    (told,) = container["state"].items() or [("", {})]
    return str(told[1].get("reason") or told[0])


def runs(sandbox: Sandbox, name: str, namespace: str = "default") -> bool:
    """Tell whether a pod runs."""
    return state(sandbox, name, namespace) == "running"
