"""The section ``tls``: who terminates TLS, and with which certificate."""

from __future__ import annotations

from typing import Literal

from settings.section import Section
from settings.servers import AcmeServer, Email
from settings.types import Certificates, ObjectName, Resolver


class _Terminated(Section):
    """TLS that the ingress controller terminates.

    Attributes:
        client_ca: The certificates, in PEM, of the CAs that sign clients' certificates; clients
            without one are refused. None asks for none.
    """

    client_ca: Certificates | None = None


class TlsAcme(_Terminated):
    """A certificate that Traefik gets itself.

    Attributes:
        mode: Names this way.
        resolver: The name of a certificate resolver in Traefik's own configuration.
    """

    mode: Literal["acme"] = "acme"
    resolver: Resolver = "letsencrypt"


class TlsLetsEncrypt(_Terminated):
    """A certificate that an ACME client of this program's own gets.

    Attributes:
        mode: Names this way.
        email: The address of the account with Let's Encrypt.
        ca_server: The URL of the directory of an ACME server, if not Let's Encrypt's.
        ca_certificates: The certificates, in PEM, of the CA that signed that server's; None for
            those that everybody trusts.
    """

    mode: Literal["letsEncrypt"] = "letsEncrypt"
    email: Email
    ca_server: AcmeServer = "https://acme-v02.api.letsencrypt.org/directory"
    ca_certificates: Certificates | None = None


class TlsCertManager(_Terminated):
    """A certificate that cert-manager gets.

    Attributes:
        mode: Names this way.
        issuer: The name of the issuer.
        issuer_kind: Whether the issuer is the cluster's, or of the registry's namespace.
        secret_name: The Secret that cert-manager keeps the certificate in.
    """

    mode: Literal["certManager"] = "certManager"
    issuer: ObjectName
    issuer_kind: Literal["ClusterIssuer", "Issuer"] = "ClusterIssuer"
    secret_name: ObjectName = "registry-tls"  # noqa: S105 - the name of a Secret


class TlsSecret(_Terminated):
    """A certificate that somebody puts into a Secret.

    Attributes:
        mode: Names this way.
        secret_name: The Secret of type kubernetes.io/tls in the registry's namespace.
    """

    mode: Literal["secret"] = "secret"
    secret_name: ObjectName = "registry-tls"  # noqa: S105 - the name of a Secret


class TlsNone(Section):
    """No TLS: something in front of the ingress terminates it.

    Attributes:
        mode: Names this way.
    """

    mode: Literal["none"] = "none"


TlsSettings = TlsSecret | TlsLetsEncrypt | TlsAcme | TlsCertManager | TlsNone
"""The ways to TLS; the first is the default."""
