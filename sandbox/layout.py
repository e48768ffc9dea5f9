"""The folders, names and addresses of a sandbox.

Everything that two sandboxes on one machine must not share is derived here: the state folder
from the sandbox's name, and the subnet, interface, cgroup and DNS domain from its number.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sandbox.files import write_public
from sandbox.lock import exclusive

REGION = "nyc3"
"""The one region in which the cloud stand-in keeps Spaces."""

CLAIMS = Path("/run/k3s-registry-sandbox")
"""One file a number in use on this machine, with the state folder that uses it; gone on reboot."""

_NUMBERS = range(256)
"""The third byte of the subnet."""


class SandboxError(RuntimeError):
    """A sandbox cannot do what it should; the message says why, and how to go on."""


@dataclass(frozen=True)
class Node:
    """A node of a sandbox.

    Attributes:
        name: The node's name in the cluster.
        ip: Its address.
        pods: The network of its pods.
        folder: Its data and configuration.
        cgroup: The cgroup that holds all of its pods.
        unit: The systemd unit of k3s: https://docs.k3s.io/installation/configuration
    """

    name: str
    ip: str
    pods: str
    folder: Path
    cgroup: str
    unit: str


@dataclass(frozen=True)
class Layout:
    """One sandbox.

    Attributes:
        root: The checkout that this sandbox belongs to.
        name: The sandbox's name, also that of its Pulumi stack: ``sandbox``, or ``sandbox-<x>``.
        number: 0 to 255; tells the sandboxes of one machine apart.
    """

    root: Path
    name: str
    number: int

    @property
    def tools(self) -> Path:
        """Built binaries, shared by the sandboxes of one checkout."""
        return self.root / ".sandbox" / "tools"

    @property
    def state(self) -> Path:
        """All that this sandbox writes: data, certificates, logs, the engine's home and stacks."""
        return self.root / ".sandbox" / self.name

    @property
    def lock(self) -> Path:
        """Held by the command that changes this sandbox; it outlives :attr:`state`."""
        return self.root / ".sandbox" / f"{self.name}.lock"

    @property
    def logs(self) -> Path:
        """One log file a process, named after it."""
        return self.state / "logs"

    @property
    def pki(self) -> Path:
        """The sandbox's certificate authority (``ca.crt``, ``ca.key``) and what it signed."""
        return self.state / "pki"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "kubeconfig"

    @property
    def interface(self) -> str:
        """The machine's end of the veth pair; at most 15 characters, a limit of the kernel."""
        return f"sandbox{self.number}"

    @property
    def node(self) -> Node:
        """The first node: the API server is here, and Traefik."""
        return self._node("node", self.node_ip, "10.42.0.0/24", "k3s")

    @property
    def second_node(self) -> Node:
        """The node that `up --nodes 2` adds; an agent of k3s."""
        return self._node("node-2", f"10.77.{self.number}.4", "10.42.1.0/24", "k3s-agent")

    @property
    def subnet(self) -> str:
        """The private network between the machine, the node and the cloud stand-in."""
        return f"10.77.{self.number}.0/24"

    @property
    def machine_ip(self) -> str:
        """This machine, as the node sees it."""
        return f"10.77.{self.number}.1"

    @property
    def node_ip(self) -> str:
        """The first node: its API server on 6443, its Traefik on 80 and 443."""
        return f"10.77.{self.number}.2"

    @property
    def cloud_ip(self) -> str:
        """The stand-ins for the outside world: DigitalOcean's API, Spaces, docker.io, ACME."""
        return f"10.77.{self.number}.3"

    def _node(self, name: str, ip: str, pods: str, unit: str) -> Node:
        cgroup = f"k3s-registry-sandbox-{self.number}-{name}"
        return Node(name, ip, pods, self.state / name, cgroup, unit)

    @property
    def domain(self) -> str:
        """The domain of all names; ``.test`` is reserved for tests (RFC 6761, section 6.2)."""
        return f"{self.name}-{self.number}.test"

    @property
    def hostname(self) -> str:
        """The registry's hostname."""
        return f"registry.{self.domain}"

    @property
    def hosts(self) -> dict[str, str]:
        """The names that machine, node and pods resolve, with their addresses."""
        return {
            self.hostname: self.node_ip,
            f"second.{self.domain}": self.node_ip,  # for a registry of another stack
            f"api.{self.domain}": self.cloud_ip,
            f"{REGION}.spaces.{self.domain}": self.cloud_ip,
            f"docker-io.{self.domain}": self.cloud_ip,
            self.acme_host: self.cloud_ip,
        }

    @property
    def api_endpoint(self) -> str:
        """The URL of the stand-in for DigitalOcean's API."""
        return f"http://api.{self.domain}:8080/"

    @property
    def spaces_endpoint(self) -> str:
        """The URL of the stand-in for Spaces: the provider's template, with the region in it."""
        return f"http://{{{{.Region}}}}.spaces.{self.domain}:7070"

    @property
    def acme_host(self) -> str:
        """The hostname of the ACME server."""
        return f"acme.{self.domain}"

    @property
    def acme_server(self) -> str:
        """The URL of the ACME server's directory."""
        return f"https://{self.acme_host}:14000/dir"

    @property
    def docker_io_endpoint(self) -> str:
        """The URL of the registry that stands in for docker.io."""
        return f"http://docker-io.{self.domain}:5000"


@dataclass(frozen=True)
class Route:
    """A route of this machine.

    Attributes:
        network: The destination; may be the subnet of an interface.
        interface: The interface that leads there.
    """

    network: ipaddress.IPv4Network
    interface: str


class NumberTakenError(SandboxError):
    """No number is free, or the recorded one is another sandbox's; the message says what to do."""


def claim(
    root: Path, name: str, routes: list[Route] | None = None, claims: Path = CLAIMS
) -> Layout:
    """Return the layout of a sandbox, with the number under which it lives on this machine.

    The number recorded in its state folder stays. Without one, the lowest free number is recorded:
    no route of the machine overlaps its subnet, and no other sandbox holds it.

    Args:
        root: The checkout.
        name: ``sandbox``, or ``sandbox-<x>``.
        routes: The machine's routes; None reads them from the kernel.
        claims: The folder in which sandboxes record which numbers they hold.

    Raises:
        NumberTakenError: All numbers are taken, or another sandbox took the recorded one.
        SandboxError: Not root.
    """
    state = Layout(root, name, 0).state
    recorded = state / "number"
    try:
        state.mkdir(parents=True, exist_ok=True)
        claims.mkdir(parents=True, exist_ok=True)
    except PermissionError as error:
        raise SandboxError(f"a sandbox needs root: {error}") from error
    with exclusive(claims / "lock", "another sandbox is taking a number"):
        if recorded.exists():
            layout = Layout(root, name, int(recorded.read_text()))
            if reason := _taken(layout, claims):
                raise NumberTakenError(
                    f"{reason}, while {name} was down; to give up the data of {name} "
                    f"and let it choose another subnet: rm -r {state}"
                )
        else:
            layout = _choose(root, name, machine_routes() if routes is None else routes, claims)
        # The claim first: without the record below it counts as stale, and so frees itself.
        (claims / str(layout.number)).write_text(str(state))
        write_public(recorded, str(layout.number))
    return layout


def machine_routes() -> list[Route]:
    """Return this machine's IPv4 routes, without default routes, which overlap everything."""
    result = subprocess.run(
        ["ip", "-json", "-4", "route", "show", "table", "all"],
        check=True,
        capture_output=True,
        text=True,
    )
    return [
        Route(ipaddress.IPv4Network(x["dst"]), x.get("dev", ""))
        for x in json.loads(result.stdout or "[]")
        if x["dst"] != "default"
    ]


def overlap(layout: Layout, routes: list[Route]) -> str:
    """Return which route leads the sandbox's subnet elsewhere; empty if none does."""
    subnet = ipaddress.IPv4Network(layout.subnet)
    for route in routes:
        if route.interface != layout.interface and route.network.overlaps(subnet):
            return f"{layout.subnet} overlaps {route.network} on {route.interface}"
    return ""


def _choose(root: Path, name: str, routes: list[Route], claims: Path) -> Layout:
    reasons = []
    for number in _NUMBERS:
        layout = Layout(root, name, number)
        if not (reason := _taken(layout, claims) or overlap(layout, routes)):
            return layout
        reasons.append(reason)
    raise NumberTakenError(f"no subnet of 10.77.0.0/16 is free: {reasons[0]}, and so on")


def _taken(layout: Layout, claims: Path) -> str:
    """Return which other sandbox holds the layout's number; empty if none does."""
    held = claims / str(layout.number)
    if held.exists():
        holder = Path(held.read_text())
        record = holder / "number"
        live = record.exists() and record.read_text() == str(layout.number)
        if live and holder != layout.state:
            return f"{layout.subnet} belongs to the sandbox in {holder}"
    return ""
