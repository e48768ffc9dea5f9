"""How clients reach the registry."""

from components.ingress.from_here import report_ingress
from components.ingress.ingress import Ingress, IngressArgs

__all__ = ["Ingress", "IngressArgs", "report_ingress"]
