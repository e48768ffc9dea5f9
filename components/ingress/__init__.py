"""How clients reach the registry."""

from components.ingress.ingress import Ingress, IngressArgs

__all__ = ["Ingress", "IngressArgs"]
