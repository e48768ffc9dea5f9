"""A request to the registry from where the program runs: through DNS, TLS and ingress."""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request

import pulumi

from settings.tls import TlsNone, TlsSettings

TIMEOUT_SECONDS = 5
"""For one response: the registry's takes milliseconds."""

PATIENCE_SECONDS = 4
"""How long an ingress controller may take to know of a change: Traefik collects them for 2 s.
https://doc.traefik.io/traefik/reference/install-configuration/configuration-options/"""

CERTIFICATE_SECONDS = 60
"""How long the first certificate may take: an ACME server's is there in half a minute."""


def report_ingress(url: str, tls: TlsSettings) -> bool:
    """Report, and return, whether clients like this machine reach the registry.

    The smoke test cannot: it runs in the cluster, behind the ingress. A failure is only a warning,
    as there may be no certificate or DNS record yet, or the registry may be for other networks.

    Args:
        url: The URL of the registry's API, such as https://registry.example.com/v2/
        tls: Where the certificate comes from, and whether clients need one.
    """
    start = time.monotonic()
    patience = PATIENCE_SECONDS
    wants_certificate = not isinstance(tls, TlsNone) and tls.client_ca
    while (problem := _problem(url)) and time.monotonic() < start + patience:
        if wants_certificate and "CERTIFICATE_REQUIRED" in str(problem):
            pulumi.log.info(f"{url} asks for a client certificate, as it should")
            return True
        if tls.mode != "secret" and _no_certificate(problem) and patience != CERTIFICATE_SECONDS:
            patience = CERTIFICATE_SECONDS
            pulumi.log.info(f"waiting up to {patience} s for the certificate: {problem}")
        time.sleep(0.5)
    if problem:
        pulumi.log.warn(
            f"{url} was not reached from this machine: {problem}\n"
            "The registry works inside the cluster; DNS record, certificate and ingress are not "
            "tested. Test them where clients are: the output readme says how."
        )
    else:
        pulumi.log.info(f"{url} asks for a login, as it should")
    return not problem


def _problem(url: str) -> object:
    """Return what is wrong with the response to an anonymous client; None if nothing is."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            status, challenge = response.status, None
    except urllib.error.HTTPError as error:
        with error:
            status, challenge = error.code, error.headers["WWW-Authenticate"]
    except OSError as error:
        return getattr(error, "reason", error)
    if (status, challenge) == (401, 'Basic realm="registry"'):
        return None
    return f"expected the registry's status 401, got {status}: something else has this hostname"


def _no_certificate(problem: object) -> bool:
    """Return whether no certificate was served, not even a wrong one."""
    wrong = isinstance(problem, ssl.SSLCertVerificationError)
    return isinstance(problem, ssl.SSLError) and not wrong
