"""Where a sandbox keeps its things, and the names and addresses it goes by.

Everything that two sandboxes on one machine must not share is derived here: the state folder
from the sandbox's name, and the subnet, interface, cgroup and DNS domain from its number.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REGION = "nyc3"
"""The one region in which the cloud stand-in keeps Spaces."""


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
        """Built binaries; shared by the sandboxes of one checkout."""
        return self.root / ".sandbox" / "tools"

    @property
    def state(self) -> Path:
        """All that this sandbox writes: data, certificates, logs, the engine's home and stacks."""
        return self.root / ".sandbox" / self.name

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
        """The administrator's way into the node's API server."""
        return self.state / "kubeconfig"

    @property
    def interface(self) -> str:
        """The machine's end of the cable to the node; at most 15 characters, a kernel limit."""
        return f"sandbox{self.number}"

    @property
    def cgroup(self) -> str:
        """The cgroup that holds all of the node's pods."""
        return f"k3s-registry-sandbox-{self.number}"

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
        """The node: its API server on 6443, its Traefik on 80 and 443."""
        return f"10.77.{self.number}.2"

    @property
    def cloud_ip(self) -> str:
        """The outside world's stand-ins: DigitalOcean's API, Spaces, docker.io."""
        return f"10.77.{self.number}.3"

    @property
    def domain(self) -> str:
        """The domain of all names; ``.test`` is reserved for this use (RFC 6761, section 6.2)."""
        return f"{self.name}-{self.number}.test"

    @property
    def hostname(self) -> str:
        """The registry's host name."""
        return f"registry.{self.domain}"

    @property
    def hosts(self) -> dict[str, str]:
        """Names that machine, node and pods resolve, with their addresses."""
        return {
            self.hostname: self.node_ip,
            f"api.{self.domain}": self.cloud_ip,
            f"{REGION}.spaces.{self.domain}": self.cloud_ip,
            f"docker-io.{self.domain}": self.cloud_ip,
        }

    @property
    def api_endpoint(self) -> str:
        """The DigitalOcean API's stand-in."""
        return f"http://api.{self.domain}:8080/"

    @property
    def spaces_endpoint(self) -> str:
        """The Spaces stand-in, as a template of the region, as the provider takes it."""
        return f"http://{{{{.Region}}}}.spaces.{self.domain}:7070"

    @property
    def docker_io_endpoint(self) -> str:
        """The registry that stands in for docker.io."""
        return f"http://docker-io.{self.domain}:5000"
