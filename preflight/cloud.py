"""Questions to DigitalOcean's API."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from urllib.parse import urljoin

from preflight.errors import NotReadyError
from settings.credentials import Access
from settings.problems import Problem

TIMEOUT_SECONDS = 10
"""For an API that does not respond; it usually does within one second."""

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


def check_token(access: Access) -> None:
    """See that the API knows the token, and lets it read storage keys.

    Whether the token may create keys shows only when one is created.

    Args:
        access: The token.

    Raises:
        NotReadyError: The token is refused, or the API does not respond.
    """
    # Joined as the provider joins it: https://github.com/digitalocean/godo/blob/main/godo.go
    url = urljoin(access.api_endpoint, "v2/spaces/keys?per_page=1")
    try:
        request = urllib.request.Request(url)  # noqa: S310 (the user's own setting)
        # Not sent to where a redirect leads.
        request.add_unredirected_header("Authorization", f"Bearer {access.token}")
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310 (likewise)
            pass
    except urllib.error.HTTPError as error:
        error.close()
        refusal = _REFUSALS.get(error.code) or _no_response(url, f"HTTP status {error.code}")
        raise NotReadyError(refusal) from None
    except (OSError, http.client.HTTPException) as error:
        raise NotReadyError(_no_response(url, getattr(error, "reason", error))) from None
    except ValueError:
        # The error's own text has the token in it, which holds a line break.
        raise NotReadyError(_REFUSALS[401]) from None


def _no_response(url: str, reason: object) -> Problem:
    return Problem(
        "digitalocean:apiEndpoint",
        url,
        f"expected DigitalOcean's API to respond: {reason}",
        "try again; a proxy is taken from HTTPS_PROXY; see https://status.digitalocean.com",
    )
