"""The section ``tls``: who terminates TLS, and with which certificate."""

from __future__ import annotations

from typing import Literal

from settings.section import Section
from settings.servers import AcmeServer, Email
from settings.types import Certificates, ObjectName, Resolver


class _Terminated(Section):
    """TLS that the ingress controller terminates."""

    client_ca: Certificates | None = None
    """Certificates, in PEM, of the CAs that sign clients' certificates; clients without one are
    refused."""


class TlsAcme(_Terminated):
    """A certificate that Traefik gets itself."""

    mode: Literal["acme"] = "acme"
    resolver: Resolver = "letsencrypt"
    """The certificate resolver in Traefik's own configuration; k3s' [has
    none](docs/ingress.md#who-terminates-tls)."""


class TlsLetsEncrypt(_Terminated):
    """A certificate from Let's Encrypt, or another ACME server."""

    mode: Literal["letsEncrypt"] = "letsEncrypt"
    email: Email
    """Your address, for the account with Let's Encrypt."""
    ca_server: AcmeServer = "https://acme-v02.api.letsencrypt.org/directory"
    """The URL of the directory of an ACME server."""
    ca_certificates: Certificates | None = None
    """Certificates, in PEM, of the CA that signed that server's, if it is not a public one."""


class TlsCertManager(_Terminated):
    """A certificate that cert-manager gets."""

    mode: Literal["certManager"] = "certManager"
    issuer: ObjectName
    """The issuer's name."""
    issuer_kind: Literal["ClusterIssuer", "Issuer"] = "ClusterIssuer"
    """Whether the issuer is the cluster's, or of the registry's namespace."""
    secret_name: ObjectName = "registry-tls"  # noqa: S105 - the name of a Secret
    """The Secret that cert-manager keeps the certificate in."""


class TlsSecret(_Terminated):
    """A certificate that somebody puts into a Secret."""

    mode: Literal["secret"] = "secret"
    secret_name: ObjectName = "registry-tls"  # noqa: S105 - the name of a Secret
    """The Secret of type `kubernetes.io/tls` with the certificate, in the registry's namespace."""


class TlsNone(Section):
    """No TLS: a Gateway, or something in front of the ingress, terminates it."""

    mode: Literal["none"] = "none"


TlsSettings = TlsSecret | TlsLetsEncrypt | TlsAcme | TlsCertManager | TlsNone
"""The ways to TLS; the first is the default."""
