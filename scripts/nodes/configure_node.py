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
from pathlib import Path

import yaml

from scripts.nodes.lease import Lease, LeaseError
from scripts.nodes.node_files import Change, on_node, read, require_replaceable, write
from scripts.nodes.own_file import RefusedError, new_file, update
from scripts.shared.api_server import ApiServerError

K3S = Path("etc/rancher/k3s")

REGISTRIES = K3S / "registries.yaml"
"""https://docs.k3s.io/installation/private-registry"""

ONLY_MIRRORS = {"disable-default-registry-endpoint": True}
"""Without it, what a mirror does not have is pulled from docker.io after all:
https://docs.k3s.io/installation/private-registry#default-endpoint-fallback"""

UNITS = ("k3s", "k3s-agent")
"""The unit of a server, and that of an agent: https://docs.k3s.io/installation/configuration"""


class ConfigureError(Exception):
    """The node could not be configured; says why, and what to do."""


def only_mirrors_path(owner: str) -> Path:
    """Return the path of :data:`ONLY_MIRRORS`, which k3s reads after its config.yaml.

    https://docs.k3s.io/installation/configuration#multiple-config-files
    """
    return K3S / "config.yaml.d" / f"90-{owner}.yaml"


def changes(
    node: Path, registries: bytes | None, owner: str, *, only_mirrors: bool
) -> list[Change]:
    """Return what has to be written on the node.

    Args:
        node: Where the node's root is mounted.
        registries: Its registries.yaml; None to remove it.
        owner: Whose file that is.
        only_mirrors: Whether k3s must not ask docker.io for what the registry does not have.

    Raises:
        RefusedError: Something would be lost, or is in the way.
    """
    path = only_mirrors_path(owner)
    if registries is not None:
        require_effect(node, path if only_mirrors else None)
    wanted = {
        path: new_file(ONLY_MIRRORS, owner).encode() if only_mirrors else None,
        REGISTRIES: registries,
    }
    needed = []
    for path, content in wanted.items():
        current = read(node, path)
        try:
            change = Change(path, current, update(current, content, owner))
        except RefusedError as error:
            raise RefusedError(f"/{path}: {error}") from None
        if change.current != change.wanted:
            require_replaceable(node, path)
            needed.append(change)
    return needed


def require_effect(node: Path, only_mirrors: Path | None) -> None:
    """Refuse where k3s' own configuration keeps what is written from having an effect.

    k3s reads config.yaml, then what is in config.yaml.d by name, and the last value of a key holds:
    https://docs.k3s.io/installation/configuration#multiple-config-files

    Raises:
        RefusedError: A file has such a value.
    """
    folder = K3S / "config.yaml.d"
    files = [x.relative_to(node) for x in sorted((node / folder).glob("*.y*ml"))]
    for path in [K3S / "config.yaml", *files]:
        try:
            config = yaml.safe_load(read(node, path) or b"")
        except (yaml.YAMLError, ValueError, RecursionError):
            continue  # k3s does not start with it.
        if not isinstance(config, dict):
            continue
        if config.get("private-registry", f"/{REGISTRIES}") != f"/{REGISTRIES}":
            raise RefusedError(
                f"/{path}: k3s reads another file than /{REGISTRIES}: delete `private-registry`"
            )
        asks = config.get("disable-default-registry-endpoint", True) is not True
        if only_mirrors and asks and path.parent == folder and path.name > only_mirrors.name:
            raise RefusedError(
                f"/{path}: it is read after /{only_mirrors}, and says otherwise: delete "
                "`disable-default-registry-endpoint`"
            )


def running_unit(node: Path) -> str:
    """Return the unit of k3s that runs on the node.

    Raises:
        ConfigureError: None does; to restart one that does not run would start a second k3s.
    """
    try:
        for unit in UNITS:
            if on_node(node, "systemctl", "is-active", unit).returncode == 0:
                return unit
    except FileNotFoundError:
        raise ConfigureError("there is no systemctl on this node") from None
    raise ConfigureError(f"none of the systemd units {', '.join(UNITS)} is active on this node")


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


def configure(
    node: Path, registries: bytes | None, owner: str, lease: Lease, *, only_mirrors: bool
) -> str:
    """Configure the node unless it is configured already, and return what was done.

    The arguments are those of :func:`changes`, and the lock of the one node that restarts k3s.

    Raises:
        ConfigureError: k3s does not run, or did not restart.
        ApiServerError: The API server refuses, or does not respond.
        LeaseError: The lock was taken away.
        RefusedError: Something on the node would be lost, or is in the way.
    """
    # There while k3s may not know the files yet, or the lock may still be held for this node.
    pending = node / K3S / f".{owner}.restart-pending"
    if not changes(node, registries, owner, only_mirrors=only_mirrors) and not pending.exists():
        return "this node is configured already"
    unit = running_unit(node)
    pending.parent.mkdir(parents=True, exist_ok=True)
    pending.touch()
    lease.take()
    try:
        # Once more, as the lock may have been long in coming.
        for change in changes(node, registries, owner, only_mirrors=only_mirrors):
            write(node, change)
            verb = "deleted" if change.wanted is None else "wrote"
            print(f"{verb} /{change.path}", flush=True)
    except (RefusedError, OSError):
        lease.release()
        raise
    lease.check()
    print(f"restarting {unit}", flush=True)
    restart(node, unit)
    lease.release()
    pending.unlink()
    return f"{unit} is back, and this node is configured"


def by_hand(registries: bytes | None, owner: str, *, only_mirrors: bool) -> str:
    """Return what somebody can write on the node instead, without the password."""
    path = only_mirrors_path(owner)
    if registries is None:
        return f"by hand: delete what they have of this registry: /{REGISTRIES}, /{path}"
    content = yaml.safe_load(registries)
    for config in content["configs"].values():
        config["auth"]["password"] = "PASSWORD"  # noqa: S105 - instead of one
    text = yaml.safe_dump(content, sort_keys=False)
    only = f"and /{path}:\n{yaml.safe_dump(ONLY_MIRRORS)}" if only_mirrors else ""
    return (
        f"by hand, /{REGISTRIES} must hold:\n{text}{only}"
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
    registries = None if args.remove else args.registries.read_bytes()
    only_mirrors = args.only_mirrors and not args.remove
    holder = f"{os.environ['NODE_NAME']}/{args.owner}"
    lease = Lease(args.lease, holder, args.credentials)
    try:
        print(configure(args.node, registries, args.owner, lease, only_mirrors=only_mirrors))
    except (RefusedError, OSError) as error:
        print(f"FAILED: {error}\n{by_hand(registries, args.owner, only_mirrors=only_mirrors)}")
        return 1
    except (ConfigureError, ApiServerError, LeaseError, subprocess.SubprocessError) as error:
        print(f"FAILED: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
