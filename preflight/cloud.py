"""Questions to DigitalOcean's API."""

from __future__ import annotations

import time
import urllib.request
from urllib.parse import urljoin

from preflight.errors import NotReadyError
from scripts.shared.registry_client import RegistryError, send
from scripts.shared.response import Response
from settings.credentials import CloudAccess
from settings.problems import Problem

TIMEOUT_SECONDS = 10
"""For an API that does not respond; it usually does within one second."""

BUSY = {429, 500, 502, 503, 504}
"""The HTTP statuses after which a question is asked again."""

RETRIES, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 4, 1, 30
"""How often that is, and after how long, as the provider does by default:
https://docs.digitalocean.com/reference/terraform/reference/ (http_retry_max)"""

_SET_TOKEN = "pulumi config set --secret digitalocean:token"  # noqa: S105 (a command)

_REFUSALS = {
    401: Problem(
        "digitalocean:token",
        "[secret]",
        "DigitalOcean does not know this API token",
        f"{_SET_TOKEN}, or in the shell: export DIGITALOCEAN_TOKEN=...",
    ),
    # https://docs.digitalocean.com/reference/api/scopes/
    403: Problem(
        "digitalocean:token",
        "[secret]",
        "the API token may not manage Spaces keys: expected the scopes "
        "spaces_key:create_credentials, read, update and delete",
        f"{_SET_TOKEN} with one from https://cloud.digitalocean.com/account/api/tokens",
    ),
}
"""What DigitalOcean's refusals mean, by HTTP status."""

_ZONE_REFUSALS = {
    403: (
        "the API token may not manage domains: expected the scopes domain:create, read, update "
        "and delete",
        f"{_SET_TOKEN} with one from https://cloud.digitalocean.com/account/api/tokens",
    ),
    404: (
        "expected a domain of this DigitalOcean account: only DNS records are created",
        "doctl compute domain create {zone}, and name DigitalOcean's name servers at its registrar",
    ),
}
"""What a refusal to show a domain means, and the fix, by HTTP status."""


def check_token(access: CloudAccess) -> None:
    """Check that the API knows the token, and lets it read storage keys.

    Whether the token may create keys shows only when one is created.

    Raises:
        NotReadyError: The token is refused, or the API does not respond.
    """
    status = get(access, "v2/spaces/keys?per_page=1").status
    if status != 200:
        raise NotReadyError(_refusal(access, status))


def check_zone(access: CloudAccess, zone: str) -> list[Problem]:
    """Check that the zone is a domain of the account: this program creates records only.

    Raises:
        NotReadyError: The token is unknown, or the API does not respond.
    """
    status = get(access, f"v2/domains/{zone}").status
    if status in _ZONE_REFUSALS:
        expected, fix = _ZONE_REFUSALS[status]
        return [Problem("dns.zone", f'"{zone}"', expected, fix.format(zone=zone))]
    if status != 200:
        raise NotReadyError(_refusal(access, status))
    return []


def get(access: CloudAccess, path: str) -> Response:
    """Return what :func:`ask` does, of a question that changes nothing."""
    return ask(access, "GET", path)


def ask(access: CloudAccess, method: str, path: str, body: bytes | None = None) -> Response:
    """Return the response of DigitalOcean's API; if it is busy, it is asked again.

    Only after a 429 it certainly has done nothing, so nothing else is asked again to create.

    Raises:
        NotReadyError: It does not respond.
    """
    # Joined as the provider joins it: https://github.com/digitalocean/godo/blob/main/godo.go
    url = urljoin(access.api_endpoint, path)
    headers = {} if body is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 (the user's own setting)
    # Not sent to where a redirect leads.
    request.add_unredirected_header("Authorization", f"Bearer {access.token}")
    busy = {429} if method == "POST" else BUSY
    for number in range(RETRIES + 1):
        try:
            response = send(request, seconds=TIMEOUT_SECONDS)
        except RegistryError as error:
            if isinstance(error.__cause__, ValueError):
                # The token holds a line break, and the error's text the token.
                raise NotReadyError(_REFUSALS[401]) from None
            raise NotReadyError(_no_response(access, error)) from None
        if response.status in busy and number < RETRIES:
            time.sleep(_pause(response, number))
        else:
            break
    return response


def _pause(response: Response, number: int) -> int:
    """Return for how many seconds to wait; the API says so when there were too many requests.

    https://docs.digitalocean.com/release-notes/2023/api-rate-limit/
    """
    told = response.headers.get("Retry-After", "")
    pause = int(told) if told.isascii() and told.isdigit() else FIRST_PAUSE_SECONDS * 2**number
    return min(pause, LONGEST_PAUSE_SECONDS)


def _refusal(access: CloudAccess, status: int) -> Problem:
    return _REFUSALS.get(status) or _no_response(access, f"HTTP status {status}")


def _no_response(access: CloudAccess, reason: object) -> Problem:
    return Problem(
        "digitalocean:apiEndpoint",
        access.api_endpoint,
        f"expected DigitalOcean's API to respond: {reason}",
        "try again; a proxy is taken from HTTPS_PROXY; see https://status.digitalocean.com",
    )
