"""Kill the engine in the middle of a command, and repair the stack as docs/operations.md says."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.cloud import spaces
from sandbox.engine import engine
from tests.sandbox.helpers import ROOT, Sandbox, second_stack

WITHIN_SECONDS = 120

PREFIX = "killed"
"""The start of the names of the Spaces."""

_OWNED = re.compile(r"could not create Space (\S+): BucketAlreadyOwnedByYou")
_EXISTS = re.compile(r"Namespace \S+ exists, and is not in this stack's state")


def kill_after(stack: Sandbox, number: int, *command: str) -> bool:
    """Start a command of pulumi, and kill the engine with SIGKILL after some resources.

    Args:
        stack: The stack.
        number: After how many resources that were created, updated or deleted.
        command: What follows ``pulumi``.

    Returns:
        Whether it was killed; it may have ended before.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "events")
        process = subprocess.Popen(
            ["pulumi", "--non-interactive", *command, f"--event-log={log}"],
            cwd=ROOT,
            # Shows the option --event-log.
            env=stack.environment | {"PULUMI_DEBUG_COMMANDS": "true"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + WITHIN_SECONDS
        while process.poll() is None and changed_resources(log) < number:
            assert time.monotonic() < deadline, f"not {number} resources within {WITHIN_SECONDS} s"
            time.sleep(0.01)
        killed = process.poll() is None
        process.kill()
        process.wait()
    return killed


def changed_resources(log: Path) -> int:
    """Return how many resources were changed."""
    if not log.exists():
        return 0
    # The last line may be half written.
    lines = log.read_text().split("\n")[:-1]
    events = [json.loads(line).get("resOutputsEvent") for line in lines]
    return sum(1 for event in events if event and event["metadata"]["op"] != "same")


def repair(stack: Sandbox, command: str) -> str:
    """Run the documented commands, and return their output.

    Args:
        stack: The stack.
        command: The command that was interrupted: up or destroy.
    """
    engine.kill(stack.layout)
    _delete_empty_attributes(stack)
    stack.pulumi("cancel", "--yes", stack.stack)
    refresh = ["refresh", "--yes", "--skip-preview", "--clear-pending-creates"]
    output = stack.pulumi(*refresh).stdout
    last = ["pulumi", "--non-interactive", command, "--yes", "--skip-preview"]
    result = subprocess.run(
        last, cwd=ROOT, env=stack.environment, capture_output=True, text=True, check=False
    )
    output += result.stdout
    if result.returncode and _EXISTS.search(output):
        namespace = stack.pulumi("config", "get", "namespace").stdout.strip()
        adopt = ["import", "kubernetes:core/v1:Namespace", "registry-namespace", namespace]
        stack.pulumi(*adopt, "--protect=false", "--generate-code=false", "--yes")
    elif result.returncode and (left := _OWNED.search(output)):
        stack.s3().delete_bucket(Bucket=left[1])
        (suffix,) = [x["urn"] for x in resources(stack) if x["urn"].endswith("::storage-suffix")]
        last += ["--replace", suffix]
    else:
        assert not result.returncode, output[-3000:]
        return output
    return output + stack.run(*last).stdout


def _delete_empty_attributes(stack: Sandbox) -> None:
    """Delete the files of attributes that the engine did not get to write.

    Each file of a state in a folder has one, which is written in place; without it, defaults hold:
    https://github.com/google/go-cloud/blob/master/blob/fileblob/attrs.go
    """
    for path in (stack.layout.state / "pulumi").rglob("*.attrs"):
        if not path.stat().st_size:
            path.unlink()


def resources(stack: Sandbox) -> list[dict[str, Any]]:
    """Return the resources in the state."""
    export = json.loads(stack.pulumi("stack", "export").stdout)
    resources: list[dict[str, Any]] = export["deployment"].get("resources", [])
    return resources


def leftovers(stack: Sandbox, output: str) -> list[str]:
    """Return what is left in the cloud, and neither in the state nor in the commands' output."""
    known = [[x.get("id"), x.get("outputs", {}).get("name")] for x in resources(stack)]
    state = json.dumps(known)
    keys = stack.api("GET", "spaces/keys?per_page=200")["keys"]
    hostname = stack.pulumi("config", "get", "hostname").stdout.strip()
    names = [x["access_key"] for x in keys if x["name"] == hostname or stack.stack in x["name"]]
    buckets = [x["Name"] for x in stack.s3().list_buckets()["Buckets"]]
    names += [x for x in buckets if x.startswith(PREFIX)]
    return [name for name in names if name not in state and name not in output]


@contextmanager
def killed_stack(sandbox: Sandbox) -> Iterator[Sandbox]:
    """Create a stack to interrupt, whose Space goes with it."""
    with second_stack(sandbox, PREFIX) as stack:
        token = spaces.secrets(sandbox.layout).token
        stack.pulumi("config", "set", "--secret", "digitalocean:token", stdin=token)
        stack.config(storage__onDestroy="delete", storage__namePrefix=PREFIX)
        yield stack


def first_up(stack: Sandbox, number: int) -> bool:
    """Interrupt the first update, and check what its repair leaves.

    Args:
        stack: The stack, destroyed.
        number: After how many resources.

    Returns:
        Whether it was interrupted.
    """
    killed = kill_after(stack, number, "up", "--yes", "--skip-preview")
    _check(stack, repair(stack, "up"))
    return killed


def update(stack: Sandbox, number: int) -> bool:
    """Interrupt an update that changes users, workload and Jobs, and check its repair.

    Args:
        stack: The stack, up.
        number: After how many resources.

    Returns:
        Whether it was interrupted.
    """
    stack.config(**{"users__ci__pull[0]": f"team-{number}"}, registry__parallelUploads=16 + number)
    killed = kill_after(stack, number, "up", "--yes", "--skip-preview")
    _check(stack, repair(stack, "up"))
    return killed


def destroy(stack: Sandbox, number: int) -> bool:
    """Interrupt a destroy, and check what its repair leaves.

    Args:
        stack: The stack, up.
        number: After how many resources.

    Returns:
        Whether it was interrupted.
    """
    killed = kill_after(stack, number, "destroy", "--yes", "--skip-preview")
    output = repair(stack, "destroy")
    assert not leftovers(stack, output)
    stack.kubectl("get", "namespace", f"registry-{PREFIX}", fails=True)
    return killed


def _check(stack: Sandbox, output: str) -> None:
    stack.pulumi("preview", "--expect-no-changes")
    stack.pulumi("refresh", "--preview-only", "--expect-no-changes")
    left = leftovers(stack, output)
    assert not left, f"left in the cloud without a word: {left}\n{output[-3000:]}"
