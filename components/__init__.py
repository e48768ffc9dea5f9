"""The components of a private container registry."""

from components.credentials import Credentials, CredentialsArgs
from components.edge import Edge, EdgeArgs
from components.proof import Proof, ProofArgs
from components.registry import Registry, RegistryArgs
from components.storage import Space, SpaceArgs

__all__ = [
    "Credentials",
    "CredentialsArgs",
    "Edge",
    "EdgeArgs",
    "Proof",
    "ProofArgs",
    "Registry",
    "RegistryArgs",
    "Space",
    "SpaceArgs",
]
