"""The registry's workload."""

from components.registry.cache import Cache, CacheArgs
from components.registry.registry import Registry, RegistryArgs

__all__ = ["Cache", "CacheArgs", "Registry", "RegistryArgs"]
