"""crane, as a client of any stack in the sandbox."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tests.sandbox.helpers import Result, Sandbox


class Crane(NamedTuple):
    """A client with a login.

    Attributes:
        stack: The stack.
        hostname: Its registry.
        folder: The folder of the login, and of the names that the client knows.
    """

    stack: Sandbox
    hostname: str
    folder: Path

    def run(self, *arguments: str, stdin: str = "", fails: bool = False) -> Result:
        """Run crane with names that only it knows; certificates are not verified."""
        home = ["env", f"DOCKER_CONFIG={self.folder}"]
        command = [*home, *with_own_hosts(self.folder / "hosts"), *arguments]
        return self.stack.run(*command, stdin=stdin, fails=fails)

    def push(self, image: str, *, fails: bool = False) -> Result:
        """Push a new image: ``team/app:1``, of a layer that nobody else has."""
        file = self.folder / f"{image.replace('/', '-')}.tar.gz"
        new_layer(file, 10_000)
        target = f"--new_tag={self.hostname}/{image}"
        return self.run("append", f"--new_layer={file}", target, fails=fails)

    def pull(self, image: str) -> Result:
        """Pull an image, and forget it."""
        return self.run("pull", f"{self.hostname}/{image}", str(self.folder / "pulled.tar"))


def new_layer(file: Path, size: int) -> None:
    """Write a layer that nobody else has.

    It is random, but for the first byte: crane unpacks what begins as gzip does.
    """
    file.write_bytes(b"\0" + os.urandom(size - 1))


def with_own_hosts(hosts: Path) -> list[str]:
    """Return what starts crane with a hosts file of its own; it verifies no certificate."""
    script = 'mount --bind "$0" /etc/hosts && exec crane --insecure "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(hosts)]


def logged_in(stack: Sandbox, hostname: str, folder: Path, password: str) -> Crane:
    """Return a client that has logged in as the admin."""
    folder.mkdir()
    (folder / "hosts").write_text(f"{stack.layout.node_ip} {hostname}\n")
    crane = Crane(stack, hostname, folder)
    login = ("auth", "login", hostname, "--username=admin", "--password-stdin")
    crane.run(*login, stdin=password)
    return crane
