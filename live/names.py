"""The names of all that a run creates, by which a later command knows what is the run's."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "k3s-registry-live-"

PROJECT = "k3s-registry"
"""The name in Pulumi.yaml, which is a part of the bootstrap key's."""


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        name: Of the droplet and its tag, the SSH key, the stack, and the namespace; Space and
            Spaces keys have names that begin with it, or contain it.
    """

    name: str

    def __post_init__(self) -> None:
        # Ten digits: a name of eight could be read as an address by sslip.io.
        if not re.fullmatch(PREFIX + "[0-9a-f]{10}", self.name):
            raise ValueError(f"{self.name}: expected {PREFIX} and 10 hexadecimal digits")

    @classmethod
    def new(cls) -> Run:
        """Return a run with a new name."""
        return cls(PREFIX + secrets.token_hex(5))

    @property
    def pods(self) -> str:
        """The namespace of the pods that pull, in the droplet's cluster."""
        return f"{self.name}-pods"

    @property
    def cleaning_key(self) -> str:
        """The Spaces key that deletes the Space if the stack does not."""
        return f"{self.name}-clean"

    def hostname(self, address: str, domain: str) -> str:
        """Return the registry's hostname, below a domain that resolves such names to addresses."""
        return f"{self.name}.{address.replace('.', '-')}.{domain}"

    def has_space(self, name: str) -> bool:
        """Return whether a Space is the run's."""
        return bool(re.fullmatch(f"{self.name}-[a-z0-9]{{8}}", name))

    def has_spaces_key(self, name: str) -> bool:
        """Return whether a Spaces key is the run's: the stack's two, or the one that cleans."""
        own = {f"{PROJECT}-{self.name}-bootstrap", self.cleaning_key}
        return name in own or name.startswith(f"{self.name}.")

    def has_droplet(self, droplet: Mapping[str, Any]) -> bool:
        """Return whether a droplet is the run's: by name and tag."""
        return droplet["name"] == self.name and self.name in droplet["tags"]
