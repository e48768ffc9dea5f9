"""How the cluster's nodes pull."""

from components.nodes.nodes import Nodes, NodesArgs

__all__ = ["Nodes", "NodesArgs"]
