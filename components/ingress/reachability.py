"""A request to the registry from where the program runs: through DNS, TLS and ingress."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from urllib.request import Request

import pulumi

from settings.tls import TlsNone, TlsSecret, TlsSettings

TIMEOUT_SECONDS = 5
"""For one response: the registry's takes milliseconds."""

PATIENCE_SECONDS = 4
"""How long an ingress controller may take to know of a change: Traefik collects them for 2 s.
https://doc.traefik.io/traefik/reference/install-configuration/configuration-options/"""

CERTIFICATE_SECONDS = 60
"""How long the first certificate may take: an ACME server's is there in half a minute."""

NO_CERTIFICATE = "CERTIFICATE_REQUIRED"
"""The alert of TLS that a client without a certificate gets."""


def report_ingress(url: str, tls: TlsSettings, why_no_certificate: Callable[[], str]) -> bool:
    """Report, and return, whether clients like this machine reach the registry.

    The smoke test cannot: it runs in the cluster, behind the ingress. A failure is only a warning,
    as there may be no certificate or DNS record yet, or the registry may be for other networks.
    `why_no_certificate` returns what the cluster says of a missing one; empty if it says nothing.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    waiting = False
    wants_certificate = not isinstance(tls, TlsNone) and tls.client_ca
    while found := _problem(url):
        problem, cause = found
        if wants_certificate and NO_CERTIFICATE in str(cause):
            pulumi.log.info(f"{url} asks for a client certificate, as it should")
            return True
        if tls.mode != "secret" and _unserved(cause) and not waiting:
            deadline += CERTIFICATE_SECONDS - PATIENCE_SECONDS
            waiting = True
            pulumi.log.info(f"waiting up to {CERTIFICATE_SECONDS} s for the certificate: {problem}")
        if time.monotonic() >= deadline:
            # cert-manager serves a temporary one, which nobody trusts, where it edits an Ingress:
            # https://cert-manager.io/docs/usage/ingress/#supported-annotations
            temporary = tls.mode == "certManager" and isinstance(cause, ssl.SSLError)
            reason = why_no_certificate() if temporary or _unserved(cause) else ""
            if _unserved(cause) and not isinstance(cause, ssl.SSLEOFError):
                reason = reason or f"{problem}; {_remedy(tls)}"
            shown = f"there is no certificate yet: {reason}" if reason else problem
            pulumi.log.warn(
                f"{url} was not reached from this machine: {shown}\n"
                "The registry works inside the cluster; DNS record, certificate and ingress are "
                "not tested. Test them where clients are: the output readme says how."
            )
            return False
        time.sleep(0.5)
    pulumi.log.info(f"{url} asks for a login, as it should")
    return True


def _problem(url: str) -> tuple[str, object] | None:
    """Return what is wrong with the response to an anonymous client, and what shows it."""
    # Imported here: previews do without.
    from scripts.shared.registry_client import RegistryError, send

    try:
        response = send(Request(url), seconds=TIMEOUT_SECONDS)  # noqa: S310 - http or https
    except RegistryError as error:
        return str(error), error.__cause__
    status, challenge = response.status, response.headers["WWW-Authenticate"]
    if (status, challenge) == (401, 'Basic realm="registry"'):
        return None
    problem = f"expected the registry's status 401, got {status}: something else has this hostname"
    return problem, response.excerpt()


def _remedy(tls: TlsSettings) -> str:
    """Return what to do about a missing certificate of which the cluster says nothing."""
    page = "docs/ingress.md#who-terminates-tls"
    if isinstance(tls, TlsSecret):
        return f"create the Secret {tls.secret_name}: {page}"
    return f"where to look: {page}"


def _unserved(cause: object) -> bool:
    """Return whether no certificate was served, not even a wrong one."""
    wrong = isinstance(cause, ssl.SSLCertVerificationError)
    return isinstance(cause, ssl.SSLError) and not wrong
