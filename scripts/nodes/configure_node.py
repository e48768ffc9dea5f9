"""Configure one node: write its registries.yaml, and restart k3s for it.

It is the init container of the DaemonSet of the setting nodes.configure, so a pod that is ready
means a node that is configured. A file that somebody else wrote stays as it is. One node at a time
restarts k3s, the one that holds the lock. A node that does not come back keeps the lock, and so the
others stay as they are.

Plain Python 3.9 and PyYAML, which the DaemonSet brings along.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import yaml

from scripts.nodes import k3s_options
from scripts.nodes.k3s_options import Told, is_on
from scripts.nodes.lease import Lease, LeaseError
from scripts.nodes.node_files import Change, on_node, read, require_replaceable, write
from scripts.nodes.own_file import RefusedError, new_file, update
from scripts.shared.api_server import ApiServerError

K3S = Path("etc/rancher/k3s")

REGISTRIES = K3S / "registries.yaml"
"""https://docs.k3s.io/installation/private-registry"""

DROP_INS = K3S / "config.yaml.d"
"""https://docs.k3s.io/installation/configuration#multiple-config-files"""

ONLY_MIRRORS = {"disable-default-registry-endpoint": True}
"""Without it, what a mirror does not have is pulled from docker.io after all:
https://docs.k3s.io/installation/private-registry#default-endpoint-fallback"""

CONTAINERD = Path("agent/etc/containerd")
"""What k3s writes for containerd, in its data folder: https://docs.k3s.io/advanced#configuring-containerd"""

LOADED_SECONDS = 60
"""How long after its start k3s may take to write that: a server's start does not wait for it."""

RESTARTED = "restarted"
"""What the marker holds when only containerd is waited for."""


class ConfigureError(Exception):
    """The node could not be configured; says why, and what to do."""


class Wanted(NamedTuple):
    """What a node must have.

    Attributes:
        registries: Its registries.yaml; None to remove it.
        owner: Whose file that is.
        only_mirrors: Whether k3s must not ask docker.io for what the registry does not have.
    """

    registries: bytes | None
    owner: str
    only_mirrors: bool


def only_mirrors_file(owner: str) -> str:
    """Return the name of the file with :data:`ONLY_MIRRORS`, which k3s reads after config.yaml."""
    return f"90-{owner}.yaml"


def changes(node: Path, told: Told, wanted: Wanted) -> list[Change]:
    """Return what has to be written on the node, whose root is mounted there.

    Raises:
        RefusedError: Something would be lost, or is in the way.
    """
    only_mirrors = told.drop_ins / only_mirrors_file(wanted.owner)
    if wanted.registries is not None:
        require_effect(node, told, only_mirrors if wanted.only_mirrors else None)
    text = new_file(ONLY_MIRRORS, wanted.owner).encode() if wanted.only_mirrors else None
    needed = []
    for path, content in ((only_mirrors, text), (registries_path(told), wanted.registries)):
        current = read(node, path)
        try:
            change = Change(path, current, update(current, content, wanted.owner))
        except RefusedError as error:
            raise RefusedError(f"/{path}: {error}") from None
        if change.current != change.wanted:
            require_replaceable(node, path)
            needed.append(change)
    return needed


def registries_path(told: Told) -> Path:
    """Return the path of the file that k3s reads as its registries.yaml."""
    return told.path("private-registry", f"/{REGISTRIES}")


def require_effect(node: Path, told: Told, only_mirrors: Path | None) -> None:
    """Refuse where what k3s is told keeps what is written from having an effect.

    Raises:
        RefusedError: It is told so.
    """
    for name in ("docker", "container-runtime-endpoint", "image-service-endpoint"):
        place, options = told.option(name)
        if is_on(options[name]) if name == "docker" else options[name]:
            raise RefusedError(
                f"{place}: with `{name}` it is not k3s' containerd that pulls, and k3s reads no "
                "registries: delete it, or use pull Secrets"
            )
    for place, options in told.sources:
        # By name, and the unit at last: so k3s reads them, and so their places compare.
        asks = not is_on(options.get("disable-default-registry-endpoint", "true"))
        if only_mirrors and asks and place > f"/{only_mirrors}":
            raise RefusedError(
                f"{place}: k3s reads it after /{only_mirrors}, and it says otherwise: delete "
                "`disable-default-registry-endpoint`"
            )
    # The first one that there is: k3s' pkg/agent/containerd/config.go.
    for name in ("config-v3.toml.tmpl", "config.toml.tmpl"):
        path = _containerd(told) / name
        if template := read(node, path):
            if b'template "base"' not in template and b"PrivateRegistryConfig" not in template:
                raise RefusedError(
                    f"/{path}: k3s gives containerd no logins with this template: begin it with "
                    '{{ template "base" . }}'
                )
            return


def is_loaded(node: Path, told: Told, registries: bytes | None) -> bool:
    """Return whether containerd has the logins and mirrors, which k3s writes when it starts."""
    if registries is None:
        return True
    folder, content = _containerd(told), yaml.safe_load(registries)
    needed = [(folder / "config.toml", x["auth"]["password"]) for x in content["configs"].values()]
    for host, mirror in content.get("mirrors", {}).items():
        needed += [(folder / "certs.d" / host / "hosts.toml", x) for x in mirror["endpoint"]]
    try:
        return all(text.encode() in (read(node, path) or b"") for path, text in needed)
    except RefusedError:
        return False  # A link, to what is not there yet.


def _containerd(told: Told) -> Path:
    return told.path("data-dir", k3s_options.DATA) / CONTAINERD


def restart(node: Path, unit: str) -> None:
    """Restart k3s and wait until it is back; pods go on running meanwhile.

    Raises:
        ConfigureError: It did not start.
    """
    result = on_node(node, "systemctl", "restart", unit)
    if result.returncode:
        raise ConfigureError(
            f"systemctl restart {unit}: {result.stderr.decode(errors='replace').strip()}; "
            f"the other nodes wait until this one is back: see journalctl --unit={unit} there"
        )


def configure(node: Path, told: Told, wanted: Wanted, lease: Lease) -> str:
    """Configure the node unless it is configured already, and return what was done.

    Raises:
        ConfigureError: k3s does not run, did not restart, or has not read its files.
        ApiServerError: The API server refuses, or does not respond.
        LeaseError: The lock was taken away.
        RefusedError: Something on the node would be lost, or is in the way.
    """
    # There while k3s may not know the files yet, or the lock may still be held for this node.
    pending = node / K3S / f".{wanted.owner}.restart-pending"
    if not changes(node, told, wanted) and not pending.exists():
        if is_loaded(node, told, wanted.registries):
            return "this node is configured already"
        raise ConfigureError(
            f"/{registries_path(told)} has the entries, but k3s has not read them, as "
            f"/{_containerd(told)} shows: systemctl restart {told.unit or 'k3s'}"
        )
    if not told.unit:
        units = ", ".join(k3s_options.UNITS)
        raise ConfigureError(f"none of the systemd units {units} is active on this node")
    pending.parent.mkdir(parents=True, exist_ok=True)
    pending.touch()
    lease.take()
    try:
        # Once more, as the lock may have been long in coming.
        for change in changes(node, told, wanted):
            pending.write_text("")
            write(node, change)
            verb = "deleted" if change.wanted is None else "wrote"
            print(f"{verb} /{change.path}", flush=True)
    except (RefusedError, OSError):
        lease.release()
        raise
    lease.check()
    if pending.read_text() != RESTARTED:
        print(f"restarting {told.unit}", flush=True)
        restart(node, told.unit)
        pending.write_text(RESTARTED)
    wait_until_loaded(node, told, wanted.registries)
    lease.release()
    pending.unlink()
    return f"{told.unit} is back, and this node is configured"


def wait_until_loaded(node: Path, told: Told, registries: bytes | None) -> None:
    """Wait until k3s has given containerd what is in its files.

    Raises:
        ConfigureError: It has not.
    """
    limit = time.monotonic() + LOADED_SECONDS
    while not is_loaded(node, told, registries):
        if time.monotonic() > limit:
            raise ConfigureError(
                f"{told.unit} is back, but /{_containerd(told)} has no login for the registry; the "
                f"other nodes wait until it has: see journalctl --unit={told.unit} there"
            )
        time.sleep(1)


def by_hand(told: Told, wanted: Wanted) -> str:
    """Return what somebody can write on the node instead, without the password."""
    registries, only_mirrors = (
        registries_path(told),
        told.drop_ins / only_mirrors_file(wanted.owner),
    )
    if wanted.registries is None:
        return f"by hand: delete what they have of this registry: /{registries}, /{only_mirrors}"
    content = yaml.safe_load(wanted.registries)
    for config in content["configs"].values():
        config["auth"]["password"] = "PASSWORD"  # noqa: S105 - instead of one
    text = yaml.safe_dump(content, sort_keys=False)
    only = f"and /{only_mirrors}:\n{yaml.safe_dump(ONLY_MIRRORS)}" if wanted.only_mirrors else ""
    return (
        f"by hand, /{registries} must hold:\n{text}{only}"
        "PASSWORD: pulumi stack output pull_password --show-secrets\n"
        "then: systemctl restart k3s, on agents k3s-agent"
    )


def main() -> int:
    """Run in a pod, and return the exit status."""
    parser = argparse.ArgumentParser(description="Write a node's registries.yaml.")
    parser.add_argument("registries", type=Path, help="what the node's file must be")
    parser.add_argument("--node", type=Path, required=True, help="where the node's root is mounted")
    parser.add_argument("--owner", required=True, help="the name in the files' first lines")
    parser.add_argument("--lease", required=True, help="namespace/name of the lock's Lease")
    parser.add_argument("--credentials", type=Path, required=True, help="token and ca.crt for it")
    parser.add_argument("--only-mirrors", action="store_true", help="do not ask docker.io")
    parser.add_argument("--remove", action="store_true", help="remove the files instead")
    args = parser.parse_args()
    wanted = Wanted(
        None if args.remove else args.registries.read_bytes(),
        args.owner,
        args.only_mirrors and not args.remove,
    )
    lease = Lease(args.lease, f"{os.environ['NODE_NAME']}/{args.owner}", args.credentials)
    told = None
    try:
        told = k3s_options.told(args.node)
        print(configure(args.node, told, wanted, lease))
    except (RefusedError, OSError) as error:
        print(f"FAILED: {error}")
        if told:
            print(by_hand(told, wanted))
        return 1
    except (ConfigureError, ApiServerError, LeaseError, subprocess.SubprocessError) as error:
        print(f"FAILED: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
