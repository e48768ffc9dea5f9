"""The components of a private container registry."""

from components.credentials import Credentials, CredentialsArgs
from components.edge import Edge, EdgeArgs
from components.nodes import Nodes, NodesArgs
from components.proof import Proof, ProofArgs
from components.pull_secrets import PullSecrets, PullSecretsArgs
from components.registry import Registry, RegistryArgs
from components.storage import Space, SpaceArgs

__all__ = [
    "Credentials",
    "CredentialsArgs",
    "Edge",
    "EdgeArgs",
    "Nodes",
    "NodesArgs",
    "Proof",
    "ProofArgs",
    "PullSecrets",
    "PullSecretsArgs",
    "Registry",
    "RegistryArgs",
    "Space",
    "SpaceArgs",
]
