"""Prepares the namespaces of a sandbox from the inside: mounts, kernel settings, network.

Linux only, and as PID 1 of fresh mount, net and pid namespaces only: elsewhere it would change the
machine.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

CABLE_END = "eth0"
"""The node's end of the cable to the machine; the machine puts it into the namespace."""

_CABLE_WITHIN = 20.0
"""Seconds for the machine to do so."""

_WANTED_BY_KUBELET = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""Machine-wide settings that kubelet changes unless they are so already.

https://github.com/kubernetes/kubernetes/blob/v1.34.4/pkg/kubelet/cm/container_manager_linux.go,
``setupKernelTunables``.
"""

_OWN_SETTINGS = {
    "net/ipv4/ip_forward": "1",
    # Without it, what two pods say to each other stays below iptables, and so below any policy.
    "net/bridge/bridge-nf-call-iptables": "1",
}
"""Settings of the network namespace alone (bridge-nf-* since Linux 5.3)."""


@dataclass(frozen=True)
class Namespace:
    """How mounts and network have to be.

    Attributes:
        folder: Where the node keeps what it would write to /var/lib and /var/log.
        addresses: The node's addresses on its end of the cable, with prefix length.
        services: The network of Service addresses, of which no packet ever leaves the node.
    """

    folder: str
    addresses: list[str]
    services: str


def prepare(namespace: Namespace) -> None:
    """Make the namespaces fit for a node.

    Args:
        namespace: What they have to be like.

    Raises:
        subprocess.CalledProcessError: A mount or an address is refused; its reason is on stderr.
        FileNotFoundError: The kernel lacks bridge filtering (module br_netfilter).
        TimeoutError: The machine put no cable into the namespace.
    """
    # Where the modules are built in, or no modules are allowed, the settings below decide.
    _run("modprobe", "--quiet", "--all", "overlay", "br_netfilter", check=False)
    _mount(Path(namespace.folder))
    _network(namespace)


def _mount(folder: Path) -> None:
    # What lives as long as the pods do lies in memory: sockets, CNI's leases and caches.
    for target in ("/run", "/var/lib/cni"):
        Path(target).mkdir(exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", target)
    for name, target in (
        ("kubelet", "/var/lib/kubelet"),
        ("log", "/var/log"),
        # A k3s of the machine's own must not read what is meant for the node.
        ("rancher", "/etc/rancher"),
        ("sbin", "/run/sbin"),
    ):
        # The mount point outlives the sandbox on purpose: removing it would unmount it in every
        # other sandbox (rmdir(2) of a mount point of another namespace detaches it there).
        Path(target).mkdir(exist_ok=True)
        (folder / name).mkdir(parents=True, exist_ok=True)
        _run("mount", "--bind", str(folder / name), target)
    # What is in one of the two is in the result: the machine's own, and the node's systemctl.
    layers = "ro,lowerdir=/run/sbin:/usr/local/sbin"
    _run("mount", "-t", "overlay", "-o", layers, "overlay", "/usr/local/sbin")
    for name, value in _WANTED_BY_KUBELET.items():
        setting = Path("/proc/sys") / name
        if setting.exists():
            shown = folder / "sysctl" / name
            shown.parent.mkdir(parents=True, exist_ok=True)
            shown.write_text(f"{value}\n")
            _run("mount", "--bind", str(shown), str(setting))
    # Kubelet hands mounts on to containers (mountPropagation); that takes shared mounts.
    _run("mount", "--make-rshared", "/")


def _network(namespace: Namespace) -> None:
    _run("ip", "link", "set", "lo", "up")
    limit = time.monotonic() + _CABLE_WITHIN
    while CABLE_END not in Path("/proc/net/dev").read_text():
        if time.monotonic() > limit:
            raise TimeoutError(f"no {CABLE_END} within {_CABLE_WITHIN:.0f} s")
        time.sleep(0.02)
    for address in namespace.addresses:
        _run("ip", "address", "add", address, "dev", CABLE_END)
    _run("ip", "link", "set", CABLE_END, "up")
    # Not a default route: nothing leaves the sandbox, and what tries to fails at once. Services
    # need one nevertheless, as the kernel looks for a route before iptables sets the destination.
    _run("ip", "route", "add", namespace.services, "dev", CABLE_END)
    for name, value in _OWN_SETTINGS.items():
        (Path("/proc/sys") / name).write_text(value)


def _run(*argv: str, check: bool = True) -> None:
    subprocess.run(argv, check=check)
