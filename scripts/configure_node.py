"""Set up one node: write its registries.yaml, and restart k3s there if that is news to it.

It runs in the DaemonSet of the setting nodes.configure, before the container that lasts: a pod that
is ready says that its node is set up. What others put into the file stays, but for comments. One
node at a time restarts, the one that holds the Lease. A node that does not come back keeps it, so
that the others stay as they are.

Plain Python 3.9, and PyYAML, which the DaemonSet brings along.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

ONLY_MIRRORS = "disable-default-registry-endpoint: true\n"

HEADER = "# The entries of the registry are kept up by its DaemonSet; all others are yours.\n"

UNITS = ("k3s", "k3s-agent")
"""The unit of a server, and that of an agent: https://docs.k3s.io/installation/configuration"""

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    # Or it takes the node's root for a chroot without a running systemd, and does nothing:
    # https://github.com/systemd/systemd/blob/main/docs/ENVIRONMENT.md
    "SYSTEMD_IGNORE_CHROOT": "1",
}

API_SERVER = "https://kubernetes.default.svc"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/"""

RESTART_SECONDS = 300
"""How long k3s may take to be back; its units tell systemd when they are."""

RETRY_SECONDS = 2


class ConfigureError(Exception):
    """The node could not be set up; says why, and what to do."""


def merge(theirs: str, ours: str) -> str:
    """Put our entries into a registries.yaml, and keep all others to the letter.

    Nothing is read as a value, since `0123` or `yes` would come back as another password.

    Args:
        theirs: The file as it is; empty if there is none.
        ours: A registries.yaml with one host among its configs: the registry.

    Raises:
        ConfigureError: What is there is not a registries.yaml.
    """
    try:
        there = yaml.compose(theirs, yaml.SafeLoader)
    except yaml.YAMLError as error:
        # Not the error's own text, which shows the line: there may be a password in it.
        mark = getattr(error, "problem_mark", None)
        where = f", see line {mark.line + 1}" if mark else ""
        raise ConfigureError(f"registries.yaml of this node is not YAML{where}") from None
    there = there or MappingNode("tag:yaml.org,2002:map", [])
    new = yaml.compose(ours, yaml.SafeLoader)
    if not isinstance(there, MappingNode) or not isinstance(new, MappingNode):
        raise ConfigureError("registries.yaml of this node holds no keys such as mirrors")
    ((host, _),) = _entry(new, "configs").value
    mirrors, wanted = _entry(there, "mirrors"), _entry(new, "mirrors")
    if isinstance(mirrors, MappingNode):
        # What leads to the registry only was ours, and its prefix may not be wanted any more.
        prefixes = [name.value for name, _ in wanted.value] if wanted else []
        mirrors.value = [
            (name, mirror)
            for name, mirror in mirrors.value
            if name.value in prefixes or _endpoints(mirror) != [f"https://{host.value}"]
        ]
    _update(there, new)
    return HEADER + yaml.serialize(there, Dumper=yaml.SafeDumper)


def _entry(mapping: MappingNode, key: str) -> Any:  # noqa: ANN401 - a node's value is of any kind
    return next((value for name, value in mapping.value if name.value == key), None)


def _endpoints(mirror: Node) -> list[str]:
    found = _entry(mirror, "endpoint") if isinstance(mirror, MappingNode) else None
    return [x.value for x in found.value] if isinstance(found, SequenceNode) else []


def _update(there: MappingNode, new: MappingNode) -> None:
    for key, value in new.value:
        known = _entry(there, key.value)
        if isinstance(known, MappingNode) and isinstance(value, MappingNode):
            _update(known, value)
        else:
            # In its place, so that the same entries always make the same file.
            names = [name.value for name, _ in there.value]
            place = names.index(key.value) if key.value in names else len(names)
            there.value[place : place + 1] = [(key, value)]


class Lease:
    """The lock that one node at a time holds while it restarts k3s.

    Args:
        url: The Leases of the namespace.
        name: The Lease's name.
        token: Of the service account that may make, read and delete it.
        trust: What the API server's certificate is checked against.
        holder: This node's name.
    """

    def __init__(
        self, url: str, name: str, token: str, trust: ssl.SSLContext | None, holder: str
    ) -> None:
        self.url, self.name, self.token = url, name, token
        self.trust, self.holder = trust, holder

    def take(self) -> None:
        """Wait until this node holds the lease; it does at once if it held it before."""
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name},
            "spec": {"holderIdentity": self.holder},
        }
        told = ""
        while self._call("POST", self.url, late=409, body=lease) is None:
            found = self._call("GET", f"{self.url}/{self.name}", late=404)
            holder = found["spec"]["holderIdentity"] if found else ""
            if holder == self.holder:
                return
            if holder not in {"", told}:
                say(f"waiting for {holder}; if it is gone for good, delete the Lease {self.name}")
                told = holder
            time.sleep(RETRY_SECONDS)

    def release(self) -> None:
        """Let the next node go on."""
        self._call("DELETE", f"{self.url}/{self.name}", late=404)

    def _call(self, method: str, url: str, late: int, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Send one request, and answer the body, or None if the status says that it is too late.

        An API server that does not answer may be just the one that restarts: it is waited for.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        deadline = time.monotonic() + RESTART_SECONDS
        while True:
            request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - the API server's
            try:
                with urllib.request.urlopen(request, timeout=10, context=self.trust) as answer:  # noqa: S310
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                with error:
                    if error.code == late:
                        return None
                    problem = f"{error.code} {error.read()[:300].decode(errors='replace')}"
            except OSError as error:
                problem = str(error)
            if time.monotonic() > deadline:
                raise ConfigureError(f"{method} {url}: {problem}")
            time.sleep(RETRY_SECONDS)


def systemctl(node: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the node's own systemctl, which talks to the node's own systemd."""

    def enter() -> None:
        os.chroot(node)
        os.chdir("/")

    return subprocess.run(
        ["systemctl", *arguments],
        env=ENVIRONMENT,
        preexec_fn=enter,
        capture_output=True,
        text=True,
        timeout=RESTART_SECONDS,
        check=False,
    )


def restart_k3s(node: Path) -> str:
    """Restart k3s, wait until it is back, and answer the unit; pods go on running meanwhile.

    Raises:
        ConfigureError: There is no such unit, or it did not start.
    """
    for unit in UNITS:
        if systemctl(node, "cat", unit).returncode == 0:
            done = systemctl(node, "restart", unit)
            if done.returncode:
                raise ConfigureError(
                    f"systemctl restart {unit}: {done.stderr.strip()}; no other node is touched "
                    f"until this one is well: see journalctl --unit={unit} there"
                )
            return unit
    raise ConfigureError(f"this node has none of the systemd units {', '.join(UNITS)}")


def enrol(node: Path, ours: str, *, only_mirrors: bool, lease: Lease) -> str:
    """Set up the node unless it is already, and answer what was done.

    Args:
        node: Where the node's root is mounted.
        ours: What its registries.yaml must hold, among other things.
        only_mirrors: Whether k3s must not ask docker.io for what the registry does not have.
        lease: The lock.

    Raises:
        ConfigureError: It could not be set up.
    """
    k3s = node / "etc" / "rancher" / "k3s"
    registries = k3s / "registries.yaml"
    files = {
        registries: merge(_read(registries), ours),
        k3s / "config.yaml.d" / "registry.yaml": ONLY_MIRRORS if only_mirrors else "",
    }
    record = k3s / "registries.yaml.applied"
    checksum = hashlib.sha256("\0".join(files.values()).encode()).hexdigest()
    if _read(record) == checksum and all(_read(path) == text for path, text in files.items()):
        return "this node is set up already"
    lease.take()
    for path, text in files.items():
        _write(path, text)
    unit = restart_k3s(node)
    lease.release()
    # Last of all, so that whatever failed before is tried again, and no lease is held for ever.
    _write(record, checksum)
    return f"wrote {registries.relative_to(node)} and restarted {unit}"


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _write(path: Path, text: str) -> None:
    """Write a file for root only, whole or not at all; an empty one is none."""
    if not text:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


def say(text: str) -> None:
    """Write a line into the pod's log."""
    print(text, flush=True)


def main() -> int:
    """Run in a pod, and answer the exit status."""
    parser = argparse.ArgumentParser(description="Write a node's registries.yaml, restart k3s.")
    parser.add_argument("registries", type=Path, help="what the node's file must hold")
    parser.add_argument("--node", type=Path, required=True, help="where the node's root is mounted")
    parser.add_argument("--lease", required=True, help="the Lease of who restarts k3s")
    parser.add_argument(
        "--only-mirrors", action="store_true", help="k3s does not ask docker.io for the rest"
    )
    given = parser.parse_args()
    namespace = (SERVICE_ACCOUNT / "namespace").read_text()
    lease = Lease(
        f"{API_SERVER}/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases",
        given.lease,
        (SERVICE_ACCOUNT / "token").read_text(),
        ssl.create_default_context(cafile=SERVICE_ACCOUNT / "ca.crt"),
        os.environ["NODE_NAME"],
    )
    ours = given.registries.read_text()
    try:
        say(enrol(given.node, ours, only_mirrors=given.only_mirrors, lease=lease))
    except (ConfigureError, OSError, subprocess.SubprocessError) as error:
        say(f"FAILED: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
