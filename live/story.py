"""The story of the registry, by real clients: refused, pushed, pulled, run, rotated."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from live.commands import Commands
from live.journal import Journal
from live.stack import Stack
from scripts.shared.objects import Objects
from scripts.shared.s3 import Bucket, Key

CERTIFICATE_SECONDS = 300
"""For Let's Encrypt, and for DNS."""

_POD_SECONDS = 300
"""For a node to pull an image, and to restart k3s before."""

_LAYER_BYTES = 100_000_000


class StoryError(Exception):
    """Something is not as the documentation says."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Where the story takes place.

    Attributes:
        image: What podman pulls first.
        prefix: What the names of images start with on nodes; empty if these are not configured.
    """

    journal: Journal
    commands: Commands
    stack: Stack
    hostname: str
    image: str
    prefix: str
    say: Callable[[str], None]
    sleep: Callable[[float], None]


def tell(scene: Scene) -> None:
    """Do what the documentation shows, and check what it says.

    Raises:
        StoryError, CommandError: Something is not as it says.
    """
    with ExitStack() as stack:
        # podman refuses a --runroot of more than 50 characters.
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="live"))
        story = _Story(scene, Path(home))
        stack.callback(story.forget_images)
        _story(scene, story)


def _story(scene: Scene, story: _Story) -> None:
    outputs = scene.stack.outputs()
    scene.say("waiting for the certificate, and for a test from outside")
    story.smoke_test(outputs)
    scene.say("podman: a push without a login is refused")
    story.podman("pull", "--quiet", scene.image)
    (image, *_) = story.podman("images", "--quiet").split()
    target = f"{scene.hostname}/live/whoami:1"
    story.podman("tag", image, target)
    refusal = story.podman("push", *story.trust, target, fails=True)
    if "unauthorized: authentication required" not in refusal:
        raise StoryError(f"an anonymous push is not refused as such: {refusal}")
    scene.say("podman: login, push, pull")
    story.login(outputs)
    story.podman("push", *story.trust, target)
    story.podman("rmi", "--force", image)
    story.podman("pull", *story.trust, target)
    if story.podman("images", "--quiet").split()[0] != image:
        raise StoryError(f"what was pulled from {target} is not what was pushed")
    scene.say(f"podman: a layer of {_LAYER_BYTES // 10**6} MB")
    story.push_large(f"{scene.hostname}/live/large:1")
    scene.say("the Space has the images")
    check_space(outputs)
    if scene.prefix:
        scene.say("pods run an image of the registry, one of docker.io, and none that is not there")
        story.run_pod("from-registry", f"{scene.prefix}/live/whoami:1", "Running")
        story.run_pod("missing", f"{scene.prefix}/live/missing:1", "ErrImagePull")
        story.run_pod("from-docker-io", "traefik/whoami", "Running")
    scene.say("rotation: new passwords and keys, pulumi up")
    scene.stack.configure({"rotation": "2"})
    scene.stack.up()
    rotated = scene.stack.outputs()
    if rotated["password"] == outputs["password"]:
        raise StoryError("the rotation has left the password as it was")
    story.login(rotated)
    story.podman("pull", *story.trust, target)
    story.podman("push", *story.trust, image, f"{scene.hostname}/live/whoami:2")
    if scene.prefix:
        story.run_pod("after-rotation", f"{scene.prefix}/live/whoami:2", "Running")
    story.smoke_test(rotated)
    scene.say("pulumi preview has nothing to do, and the doctor finds nothing")
    scene.stack.check_unchanged()
    scene.commands.run(
        *(sys.executable, "-m", "scripts.client.doctor"), env=scene.stack.environment, seconds=300
    )


def check_space(outputs: Mapping[str, Any]) -> None:
    """Check that the Space has what the registry writes.

    Raises:
        StoryError: It has nothing of that kind.
    """
    connection = outputs["storage_connection"]
    bucket = Bucket(
        endpoint=connection["endpoint"],
        region=connection["region"],
        name=connection["bucket"],
        path_style=json.loads(connection["path_style"]),
        key=Key(connection["access_key"], connection["secret_key"]),
    )
    with Objects(bucket) as objects:
        if not any(objects.list("docker/registry/v2/repositories/live/whoami/")):
            raise StoryError(f"the Space {bucket.name} has no docker/registry/v2/repositories/")


class _Story:
    """Clients with images, logins and trust of their own."""

    def __init__(self, scene: Scene, home: Path) -> None:
        self._scene = scene
        self._home = home
        trust = home / "certificates"
        trust.mkdir()
        (trust / "ca.crt").write_text((scene.journal.folder / "acme-roots.pem").read_text())
        (home / "login.json").write_text("{}")
        self.trust = (f"--cert-dir={trust}", f"--authfile={home / 'login.json'}")

    def podman(self, *args: str, stdin: str = "", fails: bool = False) -> str:
        own = (f"--root={self._home}/root", f"--runroot={self._home}/run")
        # Slow, and works everywhere, also as root in a container.
        argv = ("podman", *own, "--storage-driver=vfs", *args)
        return self._scene.commands.run(*argv, stdin=stdin, seconds=600, fails=fails)

    def forget_images(self) -> None:
        """Delete images, whose files may belong to other users of podman's namespace."""
        self.podman("rmi", "--all", "--force")

    def login(self, outputs: Mapping[str, Any]) -> None:
        who = (self._scene.hostname, f"--username={outputs['username']}", "--password-stdin")
        self.podman("login", *self.trust, *who, stdin=outputs["password"])

    def push_large(self, target: str) -> None:
        layer = self._home / "layer"
        layer.mkdir()
        with (layer / "random").open("wb") as file:
            for _ in range(_LAYER_BYTES // 10**6):
                file.write(os.urandom(10**6))
        archive = self._home / "layer.tar"
        self._scene.commands.run("tar", "-cf", archive, "-C", layer, "random")
        self.podman("import", "--quiet", str(archive), target)
        self.podman("push", *self.trust, target)
        self.podman("rmi", "--force", target)
        self.podman("pull", *self.trust, target)

    def smoke_test(self, outputs: Mapping[str, Any]) -> None:
        self._scene.commands.run(
            *(sys.executable, "-m", "scripts.client.smoke_test", f"https://{outputs['registry']}"),
            *("--username", outputs["username"], "--password-file", "-"),
            f"--wait={CERTIFICATE_SECONDS}",
            env=self._scene.stack.environment,
            stdin=outputs["password"],
            seconds=CERTIFICATE_SECONDS + 120,
        )

    def run_pod(self, name: str, image: str, expected: str) -> None:
        """Run a pod, and wait until it is as expected."""
        scene, namespace = self._scene, f"--namespace={self._scene.journal.run.pods}"
        self._kubectl("apply", namespace, "--filename=-", stdin=json.dumps(pod(name, image)))
        deadline = time.monotonic() + _POD_SECONDS
        while (status := self._status(name, namespace)) != expected:
            if time.monotonic() > deadline:
                described = self._kubectl("describe", "pod", name, namespace)
                raise StoryError(f"a pod of {image} is {status}, not {expected}:\n{described}")
            scene.sleep(1)
        self._kubectl("delete", "pod", name, namespace, "--wait=false")

    def _status(self, name: str, namespace: str) -> str:
        text = self._kubectl("get", "pod", name, namespace, "--output=json")
        return pod_status(json.loads(text)["status"])

    def _kubectl(self, *args: str, stdin: str = "") -> str:
        environment = self._scene.stack.environment
        return self._scene.commands.run("kubectl", *args, env=environment, stdin=stdin)


def pod(name: str, image: str) -> dict[str, Any]:
    """Return a pod that always pulls its image."""
    container = {"name": "main", "image": image, "imagePullPolicy": "Always"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }


def pod_status(status: Mapping[str, Any]) -> str:
    """Return `Running`, or why a pod's container does not run; both errors of pulls are one."""
    (container,) = status.get("containerStatuses") or [{"state": {}}]
    reason = container["state"].get("waiting", {}).get("reason", "")
    if reason == "ImagePullBackOff":
        return "ErrImagePull"
    return reason or ("Running" if "running" in container["state"] else str(status.get("phase")))
