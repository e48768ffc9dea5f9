"""How the cluster's nodes pull."""

from components.nodes.cloud_init import cloud_init
from components.nodes.configurator import NodeConfigurator, NodeConfiguratorArgs
from components.nodes.registries_yaml import registries_yaml

__all__ = ["NodeConfigurator", "NodeConfiguratorArgs", "cloud_init", "registries_yaml"]
