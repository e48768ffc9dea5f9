"""How clients reach the registry."""

from components.ingress.acme_client import AcmeClient
from components.ingress.acme_pod import AcmeClientArgs
from components.ingress.from_here import report_ingress
from components.ingress.ingress import Ingress, IngressArgs

__all__ = ["AcmeClient", "AcmeClientArgs", "Ingress", "IngressArgs", "report_ingress"]
