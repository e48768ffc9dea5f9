"""The droplet: a machine with a pinned k3s, and the way to its kubeconfig."""

from __future__ import annotations

import json
from pathlib import Path

from live.commands import CommandError, Commands
from live.journal import Journal
from sandbox.files import write_private

K3S = "v1.37.1+k3s1"
"""https://github.com/k3s-io/k3s/releases"""

IMAGE = "debian-12-x64"
"""https://docs.digitalocean.com/products/droplets/details/images/"""

ACME_ROOTS = "/etc/rancher/k3s/acme-roots.pem"
"""Where nodes find the roots of the registry's certificate."""

_K3S_KUBECONFIG = "/etc/rancher/k3s/k3s.yaml"
"""https://docs.k3s.io/cluster-access"""

_INSTALL = """\
set -eu
address=$(curl --fail --silent --show-error --retry 5 \\
    http://169.254.169.254/metadata/v1/interfaces/public/0/ipv4/address)
curl --fail --silent --show-error --location --retry 5 --output /root/install-k3s https://get.k3s.io
INSTALL_K3S_VERSION={version} sh /root/install-k3s server --tls-san "$address"
"""
"""The installer verifies the checksum of what it downloads: https://docs.k3s.io/installation"""


def create_keys(journal: Journal, commands: Commands) -> None:
    """Create the key pairs of the client and of the droplet's SSH server."""
    for name in ("client", "host"):
        file = journal.folder / name
        quiet = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", journal.run.name, "-f", file)
        commands.run(*quiet)


def user_data(host_key: str, host_public_key: str, acme_roots: str, version: str) -> str:
    """Return what cloud-init does at the first start; JSON is YAML, too.

    The SSH server's key is known before the droplet is, so nobody can pretend to be it. It is worth
    nothing else, since user data can be read by all that runs on the droplet, pods included.
    https://cloudinit.readthedocs.io/en/latest/reference/modules.html#ssh
    """
    config = {
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": host_key, "ed25519_public": host_public_key},
        "write_files": [{"path": ACME_ROOTS, "permissions": "0644", "content": acme_roots}],
        "runcmd": [["sh", "-c", _INSTALL.format(version=version)]],
    }
    return "#cloud-config\n" + json.dumps(config, indent=1)


def fetch_kubeconfig(journal: Journal, commands: Commands, address: str) -> bool:
    """Fetch the kubeconfig from the droplet; return whether k3s has written it yet."""
    known = journal.folder / "known_hosts"
    known.write_text(f"{address} {(journal.folder / 'host.pub').read_text()}")
    try:
        content = _ssh(journal, commands, address, f"cat {_K3S_KUBECONFIG}")
    except CommandError:
        return False
    if "127.0.0.1" not in content:
        return False
    write_private(journal.kubeconfig, content.replace("127.0.0.1", address))
    return True


def why_not_up(journal: Journal, commands: Commands, address: str) -> str:
    """Return the end of what cloud-init says, or why that is unknown."""
    try:
        return _ssh(journal, commands, address, "tail -n 30 /var/log/cloud-init-output.log")
    except CommandError as error:
        return str(error)


def _ssh(journal: Journal, commands: Commands, address: str, command: str) -> str:
    options = {
        "UserKnownHostsFile": journal.folder / "known_hosts",
        "StrictHostKeyChecking": "yes",
        "HostKeyAlgorithms": "ssh-ed25519",
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "IdentityAgent": "none",
        "ConnectTimeout": 10,
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    identity: tuple[str | Path, ...] = ("-F", "none", "-i", journal.folder / "client")
    return commands.run("ssh", *identity, *words, f"root@{address}", command, seconds=30)
