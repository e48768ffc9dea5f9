"""Images stay where they are, whatever the settings say, until they have been copied."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.cloud import spaces
from tests.faults.interrupted import kill_after, repair
from tests.sandbox.crane import Crane, logged_in
from tests.sandbox.existing_buckets import BUCKET, MINIO_PORT, ExistingBucket, empty, use
from tests.sandbox.helpers import Sandbox, eventually, second_stack
from tests.sandbox.rclone import move

S3 = {
    "storage.kind": "s3",
    "storage.bucket": BUCKET,
    "storage.endpoint": "http://nowhere.test",
    "storage.accessKey": "AKIA",
}


def resources(sandbox: Sandbox) -> dict[str, Any]:
    """Return the resources in the state; secrets in plain text, since they are encrypted anew."""
    export = sandbox.pulumi("stack", "export", "--show-secrets").stdout
    return {x["urn"]: x for x in json.loads(export)["deployment"]["resources"]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"storage.region": "fra1"}, "fix: pulumi config set --path storage.region nyc3"),
        (
            {"storage.namePrefix": "other", "storage.onDestroy": "delete"},
            "fix: pulumi config set --path storage.namePrefix registry",
        ),
        (S3, "whose storage.onDestroy must first be retain"),
        ({"namespace": "images"}, "did not create there: Secret/registry-tls"),
    ],
)
def test_settings_that_leave_images_or_secrets_behind_change_nothing(
    sandbox: Sandbox, settings: dict[str, str], message: str
) -> None:
    before = resources(sandbox)
    for key, value in settings.items():
        sandbox.pulumi("config", "set", "--path", key, value)
    if settings is S3:
        sandbox.pulumi("config", "set", "--path", "--secret", "storage.secretKey", stdin="secret")
    try:
        for command in (["preview"], ["up", "--yes", "--skip-preview"]):
            assert message in sandbox.pulumi(*command, fails=True).stdout
    finally:
        for section in {key.split(".")[0] for key in settings}:
            sandbox.pulumi("config", "rm", section)
    assert resources(sandbox) == before
    sandbox.pulumi("preview", "--expect-no-changes")


@contextmanager
def stack_with_a_space(sandbox: Sandbox, name: str, on_destroy: str) -> Iterator[Sandbox]:
    """Create another stack whose images are to be in a Space of its own."""
    with second_stack(sandbox, name) as stack:
        token = spaces.secrets(sandbox.layout).token
        stack.pulumi("config", "set", "--secret", "digitalocean:token", stdin=token)
        stack.config(storage__onDestroy=on_destroy)
        yield stack


@contextmanager
def reached(stack: Sandbox, namespace: str) -> Iterator[str]:
    """Forward a port of this machine to a registry, whose hostname leads nowhere."""
    with subprocess.Popen(
        ["kubectl", "port-forward", "service/registry", ":http", f"--namespace={namespace}"],
        env=stack.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as forward:
        assert forward.stdout
        try:
            port = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
            assert port
            yield f"docker://127.0.0.1:{port[1]}/team/whoami:1"
        finally:
            forward.terminate()


def push(stack: Sandbox, namespace: str) -> None:
    image = f"oci-archive:{stack.layout.tools / 'images' / 'whoami.tar'}"
    with reached(stack, namespace) as target:
        creds = f"--dest-creds=admin:{stack.password}"
        stack.run("skopeo", "copy", "--dest-tls-verify=false", creds, image, target)


def pull(stack: Sandbox, namespace: str, folder: Path) -> None:
    password = stack.pulumi("stack", "output", "password", "--show-secrets").stdout.strip()
    creds = f"--src-creds=admin:{password}"
    with reached(stack, namespace) as source:
        stack.run("skopeo", "copy", "--src-tls-verify=false", creds, source, f"dir:{folder}")


@pytest.mark.long
def test_images_are_moved_from_a_space_that_stays_and_can_be_used_again(
    sandbox: Sandbox, versitygw: ExistingBucket, tmp_path: Path
) -> None:
    namespace = "registry-moved"
    with ExitStack() as undo, stack_with_a_space(sandbox, "moved", "retain") as stack:
        stack.pulumi("up", "--yes", "--skip-preview")
        space = stack.bucket
        undo.callback(empty, versitygw.owner, space)
        push(stack, namespace)
        move(sandbox, space, BUCKET, versitygw, tmp_path / "rclone.conf").copy()
        stack.pulumi("config", "rm", "storage")
        use(stack, versitygw)
        moved_from = stack.pulumi("config", "get", "--path", "storage.movedFrom").stdout.strip()
        stack.pulumi("config", "rm", "--path", "storage.movedFrom")
        refused = stack.pulumi("up", "--yes", "--skip-preview", fails=True)
        assert f"pulumi config set --path storage.movedFrom '{moved_from}'" in refused.stdout
        pull(stack, namespace, tmp_path / "refused")
        stack.pulumi("config", "set", "--path", "storage.movedFrom", moved_from)
        stack.pulumi("up", "--yes", "--skip-preview")
        assert stack.pulumi("stack", "output", "storage_bucket").stdout.strip() == BUCKET
        pull(stack, namespace, tmp_path / "moved")
        names = [key["name"] for key in sandbox.api("GET", "spaces/keys?per_page=200")["keys"]]
        assert not [name for name in names if "moved" in name], "no key of the Space is left"
        stack.pulumi("destroy", "--yes", "--skip-preview")
        grants = [{"bucket": space, "permission": "readwrite"}]
        key = sandbox.api("POST", "spaces/keys", {"name": "again", "grants": grants})["key"]
        undo.callback(sandbox.api, "DELETE", f"spaces/keys/{key['access_key']}")
        stack.config(storage__bucket=space, storage__accessKey=key["access_key"])
        secret = ["config", "set", "--path", "--secret", "storage.secretKey"]
        stack.pulumi(*secret, stdin=key["secret_key"])
        stack.pulumi("up", "--yes", "--skip-preview")
        pull(stack, namespace, tmp_path / "again")


@pytest.mark.long
def test_a_namespace_is_renamed_and_an_interruption_is_no_obstacle(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """The engine is killed when the new namespace exists, and the old one still serves."""
    old, new = "registry-renamed", "registry-renamed-2"
    with stack_with_a_space(sandbox, "renamed", "delete") as stack:
        stack.pulumi("up", "--yes", "--skip-preview")
        push(stack, old)
        stack.config(namespace=new)
        assert kill_after(stack, 5, "up", "--yes", "--skip-preview")
        stack.kubectl("get", "namespace", old, new)
        repair(stack, "up")
        pull(stack, new, tmp_path / "renamed")
        assert not stack.kubectl("get", "namespace", old, "--ignore-not-found").stdout


def pull_from_another_stack(
    sandbox: Sandbox, bucket: ExistingBucket, pushed: list[str], folder: Path
) -> None:
    """Bring up another stack on a copy, and pull all images from it."""
    with second_stack(sandbox, "copy") as stack:
        stack.config(tls__mode="none")
        use(stack, bucket)
        stack.pulumi("up", "--yes", "--skip-preview")
        crane = logged_in(stack, f"copy.{sandbox.layout.domain}", folder, stack.password)
        for image in pushed:
            crane.pull(image)


@pytest.mark.long
def test_nothing_is_lost_in_a_move_to_another_server_while_clients_push(
    sandbox: Sandbox, minio: ExistingBucket, tmp_path: Path
) -> None:
    by_path = replace(minio, endpoint=f"http://{sandbox.layout.cloud_ip}:{MINIO_PORT}")
    hostname = f"busy.{sandbox.layout.domain}"
    pushed: list[str] = []
    refusals: list[str] = []
    stopping = threading.Event()

    def work(crane: Crane) -> None:
        number = 0
        while not stopping.is_set():
            number += 1
            try:
                crane.push(f"team/app:{number}")
            except AssertionError as error:
                refusals.append(str(error))
            else:
                pushed.append(f"team/app:{number}")

    with ExitStack() as undo, stack_with_a_space(sandbox, "busy", "retain") as stack:
        # Nobody made a certificate for this hostname.
        stack.config(tls__mode="none")
        stack.pulumi("up", "--yes", "--skip-preview")
        space = stack.bucket
        undo.callback(empty, sandbox.s3(), space)
        move_all = move(sandbox, space, BUCKET, by_path, tmp_path / "rclone.conf")
        crane = logged_in(stack, hostname, tmp_path / "crane", stack.password)
        worker = threading.Thread(target=work, args=(crane,))
        worker.start()
        try:
            eventually("images are pushed", lambda: len(pushed) > 3)
            copied = list(pushed)
            move_all.copy()
            pull_from_another_stack(sandbox, by_path, copied, tmp_path / "copy")
            assert not refusals
            stack.config(registry__readOnly=True)
            stack.pulumi("up", "--yes", "--skip-preview")
            before = len(pushed)
            assert "registry.readOnly" in crane.push("team/late:1", fails=True).stderr
            crane.pull(pushed[0])
            move_all.copy()
            move_all.check()
            assert len(pushed) == before, "nothing was pushed while it was read-only"
            stack.pulumi("config", "rm", "storage")
            use(stack, by_path)
            stack.pulumi("up", "--yes", "--skip-preview")
            stack.pulumi("config", "rm", "--path", "registry.readOnly")
            stack.pulumi("up", "--yes", "--skip-preview")
            crane.push("team/new:1")
        finally:
            stopping.set()
            worker.join()
        assert not [refusal for refusal in refusals if "registry.readOnly" not in refusal]
        for image in pushed:
            crane.pull(image)


def test_the_first_up_waits_for_key_and_space_and_reports_a_key_that_was_left(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    check = ("--selector=app.kubernetes.io/component=storage-check", "--namespace=registry-late")

    def waits_for_the_key() -> bool:
        return "waiting until Spaces accepts the new key" in output.read_text()

    def waits_for_the_space() -> bool:
        return "waiting for up to 300 s" in sandbox.kubectl("logs", *check, "--tail=-1").stdout

    with ExitStack() as undo, stack_with_a_space(sandbox, "late", "delete") as stack:
        name = f"k3s-registry-{stack.stack}-bootstrap"
        grants = [{"bucket": "", "permission": "fullaccess"}]
        left = sandbox.api("POST", "spaces/keys", {"name": name, "grants": grants})["key"]
        undo.callback(sandbox.api, "DELETE", f"spaces/keys/{left['access_key']}")
        command = f"pulumi --non-interactive up --yes --skip-preview > {output}"
        # The update ends once nothing is unknown any more.
        with ThreadPoolExecutor() as pool, unknown(sandbox):
            up = pool.submit(stack.run, "sh", "-c", f"{command} || ! cat {output}")
            eventually(f"it waits for the key: {output}", waits_for_the_key, 120)
            control(sandbox, known=True)
            eventually(f"it waits for the Space: {output}", waits_for_the_space, 120)
        up.result()
        assert f"fix: doctl spaces keys delete {left['access_key']}" in output.read_text()


@contextmanager
def unknown(sandbox: Sandbox) -> Iterator[None]:
    """Make new keys and Spaces unknown meanwhile."""
    control(sandbox, key_delay=600, space_delay=600)
    try:
        yield
    finally:
        control(sandbox, key_delay=0, space_delay=0, known=True)


def control(sandbox: Sandbox, **faults: float) -> None:
    """Set faults of the API's stand-in."""
    url = f"{sandbox.layout.api_endpoint}_control"
    with urllib.request.urlopen(url, json.dumps(faults).encode(), timeout=10):
        pass
