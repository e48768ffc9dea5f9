"""The certificate that clients get, and what renews it."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping

CERTIFICATE_DAYS = 14
"""Certificates are renewed at two thirds of their lifetime, thus 30 days before a usual one of 90
expires: https://letsencrypt.org/docs/integration-guide/#when-to-renew. This is half of that."""

CONNECT_SECONDS = 10
"""How long a TLS handshake may take."""


def certificate(hostname: str, tls: ssl.SSLContext, port: int = 443) -> Iterator[str]:
    """Yield what is wrong with the certificate that clients get.

    Raises:
        OSError: No connection can be made.
    """
    try:
        with (
            socket.create_connection((hostname, port), CONNECT_SECONDS) as connection,
            tls.wrap_socket(connection, server_hostname=hostname) as stream,
        ):
            until = ssl.cert_time_to_seconds(str((stream.getpeercert() or {})["notAfter"]))
    except ssl.SSLCertVerificationError as error:
        yield f"the certificate of {hostname} is refused: {error.verify_message}"
        return
    except ssl.SSLError as error:
        # Where no pod is ready, the connection ends without a reason.
        if isinstance(error, ssl.SSLEOFError):
            raise
        yield f"no certificate is served for {hostname}: {error}"
        return
    days = (until - time.time()) / 86400
    if days < CERTIFICATE_DAYS:
        yield f"the certificate of {hostname} expires in {days:.0f} days"


def ask_cluster(path: str) -> str:
    """Return what the shell's cluster has at a path of its API; empty if it does not tell."""
    try:
        result = subprocess.run(
            ["kubectl", "get", f"--raw={path}"], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return "" if result.returncode else result.stdout


def renewal(kubectl: str, settings: Mapping[str, str]) -> str:
    """Return what renews the certificate, or tells why it was not renewed."""
    secret = settings.get("secretName", "registry-tls")
    return {
        "secret": f"{kubectl} create secret tls {secret} --cert fullchain.pem --key privkey.pem "
        "--dry-run=client --output yaml | kubectl apply --filename -",
        "letsEncrypt": f"{kubectl} logs deployment/acme-client says why",
        "acme": "the log of Traefik says why",
        "certManager": f"{kubectl} describe certificate {secret} says why",
        "none": "renew it where TLS is terminated",
    }[settings.get("mode", "secret")]
