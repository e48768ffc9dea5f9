"""Prepares the namespaces of a sandbox from the inside: mounts, kernel settings, network.

Only for PID 1 of new mount, net and pid namespaces: anything else would change the machine.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

NODE_INTERFACE = "eth0"
"""The node's end of the veth pair; the machine moves it into the namespace."""

_INTERFACE_WITHIN = 20.0
"""Seconds for the machine to do so."""

_KUBELET_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""Machine-wide settings that kubelet changes unless they have these values.

https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/cm/container_manager_linux.go,
``setupKernelTunables``.
"""

_OWN_SETTINGS = {
    "net/ipv4/ip_forward": "1",
    # Without it, packets between two pods bypass iptables, and so all network policies.
    "net/bridge/bridge-nf-call-iptables": "1",
}
"""Settings of the network namespace alone (bridge-nf-* since Linux 5.3)."""


@dataclass(frozen=True)
class Namespace:
    """Mounts and network of the namespaces.

    Attributes:
        folder: The folder that replaces the machine's /var/lib and /var/log.
        addresses: The node's addresses on its end of the veth pair, with prefix length.
        services: The network of Service addresses, whose packets never leave the node.
        pods: The network of all pods, whose packets keep their addresses among nodes.
        routes: Destinations behind the veth pair, with their gateways.
    """

    folder: str
    addresses: list[str]
    services: str
    pods: str
    routes: dict[str, str]


def prepare(namespace: Namespace) -> None:
    """Set up mounts and network for a node.

    Args:
        namespace: The mounts and network to set up.

    Raises:
        subprocess.CalledProcessError: A mount or an address failed; the reason is on stderr.
        FileNotFoundError: The kernel lacks bridge filtering (module br_netfilter).
        TimeoutError: The machine did not move the network interface into the namespace.
    """
    # Unchecked: they may be built in, or loaded although none can be. The settings below show it.
    _run("modprobe", "--quiet", "--all", "overlay", "br_netfilter", check=False)
    _mount(Path(namespace.folder))
    _network(namespace)


def _mount(folder: Path) -> None:
    # In memory, since it ends with the pods: sockets, CNI's leases and caches.
    for target in ("/run", "/var/lib/cni"):
        Path(target).mkdir(exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", target)
    for name, target in (
        ("kubelet", "/var/lib/kubelet"),
        ("log", "/var/log"),
        # A k3s of the machine itself must not read or change the node's.
        ("rancher", "/etc/rancher"),
        ("rancher-data", "/var/lib/rancher"),
        ("sbin", "/run/sbin"),
    ):
        # The mount point outlives the sandbox: to remove it would unmount it in all other sandboxes
        # (rmdir(2) of a mount point of another namespace detaches it there).
        Path(target).mkdir(exist_ok=True)
        (folder / name).mkdir(parents=True, exist_ok=True)
        _run("mount", "--bind", str(folder / name), target)
    # The union of the machine's files and the node's systemctl.
    layers = "ro,lowerdir=/run/sbin:/usr/local/sbin"
    _run("mount", "-t", "overlay", "-o", layers, "overlay", "/usr/local/sbin")
    for name, value in _KUBELET_SETTINGS.items():
        setting = Path("/proc/sys") / name
        if setting.exists():
            shown = folder / "sysctl" / name
            shown.parent.mkdir(parents=True, exist_ok=True)
            shown.write_text(f"{value}\n")
            _run("mount", "--bind", str(shown), str(setting))
    # Kubelet propagates mounts to containers (mountPropagation), which requires shared mounts.
    _run("mount", "--make-rshared", "/")


def _network(namespace: Namespace) -> None:
    _run("ip", "link", "set", "lo", "up")
    limit = time.monotonic() + _INTERFACE_WITHIN
    while NODE_INTERFACE not in Path("/proc/net/dev").read_text():
        if time.monotonic() > limit:
            raise TimeoutError(f"no {NODE_INTERFACE} within {_INTERFACE_WITHIN:.0f} s")
        time.sleep(0.02)
    for address in namespace.addresses:
        _run("ip", "address", "add", address, "dev", NODE_INTERFACE)
    _run("ip", "link", "set", NODE_INTERFACE, "up")
    # No default route: connections out of the sandbox fail at once. Services need a route, since
    # the kernel looks one up before iptables sets the destination.
    _run("ip", "route", "add", namespace.services, "dev", NODE_INTERFACE)
    for destination, gateway in namespace.routes.items():
        _run("ip", "route", "add", destination, "via", gateway, "dev", NODE_INTERFACE)
    # What flannel does in k3s.
    outside = ["--source", namespace.pods, "!", "--destination", namespace.pods]
    _run("iptables", "-t", "nat", "-A", "POSTROUTING", *outside, "-j", "MASQUERADE")
    for name, value in _OWN_SETTINGS.items():
        (Path("/proc/sys") / name).write_text(value)


def _run(*argv: str, check: bool = True) -> None:
    subprocess.run(argv, check=check)
