"""The resource plugin that stands in for pulumi-digitalocean.

Has SpacesKey and SpacesBucket, with the released SDK's properties and provider configuration, and
reaches DigitalOcean's API and Spaces over their own protocols only. Not covered: the other types,
import, rate limiting (``requestsPerSecond`` is accepted and ignored).
"""

from __future__ import annotations

import os

from sandbox.engine.plugins.resource_plugin import Plugin
from sandbox.engine.plugins.spaces_bucket import SpacesBucket
from sandbox.engine.plugins.spaces_key import SpacesKey
from sandbox.engine.plugins.wire import Properties

# Names and defaults are upstream's:
# https://registry.terraform.io/providers/digitalocean/digitalocean/latest/docs
ENVIRONMENT = {
    "token": ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"),
    "apiEndpoint": ("DIGITALOCEAN_API_URL",),
    "spacesEndpoint": ("SPACES_ENDPOINT_URL",),
    "spacesAccessId": ("SPACES_ACCESS_KEY_ID",),
    "spacesSecretKey": ("SPACES_SECRET_ACCESS_KEY",),
    "httpRetryMax": ("DIGITALOCEAN_HTTP_RETRY_MAX",),
    "httpRetryWaitMin": ("DIGITALOCEAN_HTTP_RETRY_WAIT_MIN",),
    "httpRetryWaitMax": ("DIGITALOCEAN_HTTP_RETRY_WAIT_MAX",),
    "requestsPerSecond": ("DIGITALOCEAN_REQUESTS_PER_SECOND",),
}
"""The provider's configuration keys, each with the environment variables it falls back to."""

DEFAULTS = {
    "apiEndpoint": "https://api.digitalocean.com",
    "spacesEndpoint": "https://{{.Region}}.digitaloceanspaces.com",
    "httpRetryMax": "4",
    "httpRetryWaitMin": "1",  # seconds, as the next
    "httpRetryWaitMax": "30",
}


def configure(given: Properties) -> dict[str, str]:
    """Complete a provider's arguments from the environment, and that from the defaults."""
    found = {
        key: os.environ[name]
        for key, names in ENVIRONMENT.items()
        for name in reversed(names)
        if os.environ.get(name)
    }
    return DEFAULTS | found | {key: str(value) for key, value in given.items() if value != ""}


PLUGIN = Plugin("digitalocean", (SpacesBucket, SpacesKey), configure)

if __name__ == "__main__":
    PLUGIN.serve(
        "Stand-in for the pulumi-digitalocean plugin: SpacesBucket and SpacesKey only, over the "
        "network protocols of DigitalOcean's API and of S3."
    )
