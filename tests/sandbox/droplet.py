"""A machine for the API's droplets: the sandbox's second node, with a real SSH server.

What stands in for cloud-init and for k3s' installer: the user data's SSH host key and files are put
in place, its commands are not run, and the cluster is there already. The kubeconfig is the
sandbox's, where k3s writes its own; the cluster outlives the droplet, but for the run's namespaces.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.build import debian
from sandbox.enclosure import enclosure, hosts
from sandbox.files import write_private, write_public
from sandbox.layout import Layout
from tests.sandbox.helpers import Sandbox

_EVERY_SECONDS = 0.3

_SSHD = """\
ListenAddress {address}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
PidFile none
"""

_USERS = "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"

_SCRIPT = """\
mount --bind passwd /etc/passwd
mkdir -p /run/sshd
export LD_LIBRARY_PATH="$PWD/usr/lib/$(uname -m)-linux-gnu"
exec "$PWD/usr/sbin/sshd" -D -e -f "$PWD/config"
"""
"""In mounts of its own: sshd wants a user, which the machine may not have."""

_FORWARD = (
    "PREROUTING --protocol tcp --dport 6443 --destination {ip} "
    "--jump DNAT --to-destination {server}",
    "POSTROUTING --protocol tcp --dport 6443 --destination {server} --jump MASQUERADE",
)
"""The API server is the first node's."""


class Machine:
    """The second node, as a droplet.

    Args:
        sandbox: The sandbox, with two nodes.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._layout = sandbox.layout
        self._folder = self._layout.state / "droplet"
        self._server: subprocess.Popen[bytes] | None = None
        self._booted = 0
        self._run = ""

    def look(self) -> None:
        """Start as the newest droplet that is active, or stop."""
        newest = self._newest()
        if newest and not self._booted:
            self._start(newest)
        elif self._booted and not newest:
            self.stop()

    def _newest(self) -> dict[str, Any] | None:
        stored = self._layout.state / "cloud" / "droplets.json"
        if not stored.exists():
            return None
        content = json.loads(stored.read_text())
        droplets = [x for x in content["droplets"] if x["user_data"]]
        if not droplets:
            return None
        keys = {x["id"]: x["public_key"] for x in content["ssh_keys"]}
        allowed = "\n".join(keys.get(x, "") for x in droplets[-1]["ssh_keys"])
        newest: dict[str, Any] = {**droplets[-1], "authorized": allowed + "\n"}
        return newest

    def _start(self, droplet: dict[str, Any]) -> None:
        layout, folder, node = self._layout, self._folder, self._layout.second_node
        self._booted = droplet["id"]
        if not (folder / "usr").exists():
            folder.mkdir(exist_ok=True)
            for package in ("openssh-server", "libwrap0"):
                debian.unpack(package, folder)
        data = json.loads(droplet["user_data"].removeprefix("#cloud-config\n"))
        write_private(folder / "host", data["ssh_keys"]["ed25519_private"])
        write_private(folder / "authorized_keys", droplet["authorized"])
        write_public(folder / "passwd", _USERS)
        write_public(folder / "config", _SSHD.format(address=node.ip, folder=folder))
        for file in data["write_files"]:
            name = Path(file["path"]).relative_to("/etc/rancher")
            # The node configurator is on both nodes, and names it.
            for place in (layout.node, node):
                write_public(place.folder / "rancher" / name, file["content"])
        kubeconfig = layout.kubeconfig.read_text().replace(layout.node_ip, "127.0.0.1")
        write_private(node.folder / "rancher" / "k3s" / "k3s.yaml", kubeconfig)
        self._forward("--append")
        resolve(layout, droplet["name"], node.ip)
        self._run = droplet["name"]
        inside = [*enclosure.enter(node), "unshare", "--mount", "--propagation=private"]
        with (layout.logs / "droplet.log").open("ab") as log:
            self._server = subprocess.Popen(
                [*inside, f"--wd={folder}", "sh", "-ec", _SCRIPT], stdout=log, stderr=log
            )

    def _forward(self, change: str) -> None:
        node = self._layout.second_node
        for rule in _FORWARD:
            words = rule.format(ip=node.ip, server=self._layout.node_ip).split()
            table = ("iptables", "--table", "nat", change)
            subprocess.run([*enclosure.enter(node), *table, *words], check=True)

    def stop(self) -> None:
        """Be no droplet any more."""
        if not self._booted:
            return
        self._booted = 0
        self._forward("--delete")
        hosts.add(self._layout)
        (self._layout.second_node.folder / "rancher" / "k3s" / "k3s.yaml").unlink(missing_ok=True)
        if self._server:
            self._server.terminate()
            self._server.wait()
        names = (self._run, f"{self._run}-pods")
        self._sandbox.kubectl("delete", "namespace", *names, "--ignore-not-found")


def resolve(layout: Layout, run: str, address: str) -> None:
    """Let a run's hostname lead to the address in it, as a service such as sslip.io does.

    The name is one of the sandbox's, until the sandbox writes those anew.
    """
    name = f"{run}.{address.replace('.', '-')}.{layout.domain}"
    with hosts.HOSTS.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(f"{address}\t{name}\t# k3s-registry {layout.domain}\n")


@contextmanager
def machine(sandbox: Sandbox) -> Iterator[Machine]:
    """Start and stop the second node as the API's droplets come and go."""
    ended, node = threading.Event(), Machine(sandbox)

    def follow() -> None:
        while not ended.wait(_EVERY_SECONDS):
            node.look()

    follower = threading.Thread(target=follow)
    follower.start()
    try:
        yield node
    finally:
        ended.set()
        follower.join()
        node.stop()
