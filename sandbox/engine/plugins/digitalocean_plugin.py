"""The stand-in for the resource plugin of pulumi-digitalocean.

It has DnsRecord, SpacesBucket and SpacesKey, with the released SDK's properties and provider
configuration, and uses the protocols of DigitalOcean's API and of Spaces. Not covered: the other
types, import, rate limiting (``requestsPerSecond`` is accepted and ignored).
"""

from __future__ import annotations

import os

from sandbox.engine.plugins.dns_record import DnsRecord
from sandbox.engine.plugins.resource_plugin import Plugin
from sandbox.engine.plugins.spaces_bucket import SpacesBucket
from sandbox.engine.plugins.spaces_key import SpacesKey
from sandbox.engine.plugins.wire import Properties

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
"""The provider's configuration keys, each with the environment variables it falls back to.
https://registry.terraform.io/providers/digitalocean/digitalocean/latest/docs"""

DEFAULTS = {
    "apiEndpoint": "https://api.digitalocean.com",
    "spacesEndpoint": "https://{{.Region}}.digitaloceanspaces.com",
    "httpRetryMax": "4",
    "httpRetryWaitMin": "1",  # seconds, as the next
    "httpRetryWaitMax": "30",
}


def configure(args: Properties) -> dict[str, str]:
    """Return a provider's arguments, completed from the environment and the defaults."""
    environment = {
        key: os.environ[name]
        for key, names in ENVIRONMENT.items()
        for name in reversed(names)
        if os.environ.get(name)
    }
    return DEFAULTS | environment | {key: str(value) for key, value in args.items() if value != ""}


PLUGIN = Plugin("digitalocean", (DnsRecord, SpacesBucket, SpacesKey), configure)

if __name__ == "__main__":
    PLUGIN.serve(
        "Stand-in for the pulumi-digitalocean plugin: DnsRecord, SpacesBucket and SpacesKey only, "
        "over the network protocols of DigitalOcean's API and of S3."
    )
