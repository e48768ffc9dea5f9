"""New passwords and keys for everything, while clients push and pull."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.sandbox.crane import Crane, logged_in
from tests.sandbox.helpers import Sandbox
from tests.sandbox.test_moves import stack_with_a_space

APPS = "rotation-apps"


def output(stack: Sandbox, name: str) -> str:
    return stack.pulumi("stack", "output", name, "--show-secrets").stdout.strip()


@contextmanager
def load(crane: Crane, counts: list[int]) -> Iterator[None]:
    """Push and pull all the while; the first failure ends it, and shows up at the end."""
    stopping = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        while not stopping.is_set():
            try:
                crane.push(f"team/app:{len(counts)}")
                crane.pull(f"team/app:{len(counts)}")
            except AssertionError as error:
                failures.append(error)
                return
            counts.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
    assert not failures, failures


def keys(sandbox: Sandbox, word: str) -> set[str]:
    listed = sandbox.api("GET", "spaces/keys?per_page=200")["keys"]
    return {key["access_key"] for key in listed if word in key["name"]}


def pull_password(stack: Sandbox) -> str:
    """Return the password in the pull Secret."""
    secret = stack.get("secret", "registry-pull", f"--namespace={APPS}")["data"]
    config = json.loads(base64.b64decode(secret[".dockerconfigjson"]))
    (login,) = config["auths"].values()
    return base64.b64decode(login["auth"]).decode().partition(":")[2]


def test_no_client_notices_a_rotation_and_old_passwords_end_with_the_next_one(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    hostname = f"rotation.{sandbox.layout.domain}"
    sandbox.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": APPS}})
    with stack_with_a_space(sandbox, "rotation", "delete") as stack:
        # Nobody made a certificate for this hostname.
        stack.config(tls__mode="none", **{"pullSecrets__namespaces[0]": APPS})
        stack.pulumi("up", "--yes", "--skip-preview")
        first = logged_in(stack, hostname, tmp_path / "first", output(stack, "password"))
        before = {word: keys(sandbox, word) for word in (hostname, f"{stack.stack}-bootstrap")}
        counts: list[int] = []
        with load(first, counts):
            stack.config(rotation=2)
            stack.pulumi("up", "--yes", "--skip-preview")
        assert len(counts) > 3, "the test does not show much"
        first.push("team/app:first")
        second = logged_in(stack, hostname, tmp_path / "second", output(stack, "password"))
        second.pull("team/app:first")
        assert pull_password(stack) == output(stack, "pull_password")
        for word, old in before.items():
            assert len(keys(sandbox, word)) == len(old) == 1
            assert keys(sandbox, word).isdisjoint(old), "it is a new key"
        stack.pulumi("preview", "--expect-no-changes")

        stack.config(rotation=1)
        refused = stack.pulumi("up", "--yes", "--skip-preview", fails=True)
        assert "fix: pulumi config set rotation 2" in refused.stdout
        with load(second, counts):
            stack.config(rotation=3)
            stack.pulumi("up", "--yes", "--skip-preview")
        assert "401 Unauthorized" in first.push("team/app:late", fails=True).stderr
        third = logged_in(stack, hostname, tmp_path / "third", output(stack, "password"))
        third.pull("team/app:first")
    sandbox.kubectl("delete", "namespace", APPS, "--wait=false")
