"""How clients reach the registry."""

from components.ingress.acme_client import AcmeClient
from components.ingress.acme_pod import AcmeClientArgs
from components.ingress.ingress import Ingress, IngressArgs
from components.ingress.reachability import report_ingress

__all__ = ["AcmeClient", "AcmeClientArgs", "Ingress", "IngressArgs", "report_ingress"]
