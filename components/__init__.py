"""The components of a private container registry; a program uses the first."""

from components.private_registry import PrivateRegistry, PrivateRegistryArgs

__all__ = ["PrivateRegistry", "PrivateRegistryArgs"]
