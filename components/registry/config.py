"""The registry's configuration file and its AWS credentials file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

import yaml

from components.network import METRICS_PATH, PORT
from components.registry.side_servers import (
    MANIFESTS_ADDRESS,
    MANIFESTS_METRICS_ADDRESS,
    METRICS_ADDRESS,
    REGISTRY_ADDRESS,
)
from scripts.maintenance.keys import CACHES
from settings.schema import CHUNK_BYTES, WebhookSettings
from settings.types import WebhookAction

PUBLIC_URL = r"(?i)^https?://([a-z0-9-]+\.)+[a-z]{2,63}(:\d+)?(/|$)"
"""A regular expression of URLs that a layer may have instead of being pushed. Clients get it from
there, so that no address may be named, in no notation: clouds hand out credentials at one."""

LOCAL_URL = r"(?i)^https?://[^/]*\.(internal|local|localdomain|localhost|svc)(:\d+)?(/|$)"
"""A regular expression of URLs of hosts in the network of whoever pulls."""


def registry_config(
    *,
    memory: bool,
    endpoint: str,
    region: str,
    bucket: str,
    path_style: bool,
    root_directory: str,
    redirect: bool,
    http_secret: str,
    webhooks: Mapping[str, WebhookSettings],
    metrics: bool,
) -> str:
    """Return the configuration of one of a pod's two processes of CNCF distribution 3.1.

    It names no users: the auth proxy, which alone reaches the registry, has authorized them. Both
    notify of changes, each of those that it is asked for.

    `memory` is for the one that remembers which blobs exist, and takes layers.
    """
    config: dict[str, Any] = {
        "version": "0.1",
        # At the level info it logs the headers of webhooks, which are secret:
        # https://github.com/distribution/distribution/blob/v3.1.2/registry/handlers/app.go#L509
        "log": {"level": "warn", "formatter": "json", "accesslog": {"disabled": True}},
        "storage": {
            "s3": _s3(
                endpoint=endpoint,
                region=region,
                bucket=bucket,
                path_style=path_style,
                root_directory=root_directory,
            ),
            "delete": {"enabled": True},
            "redirect": {"disable": not redirect},
            **(
                {"cache": {"blobdescriptor": "inmemory", "blobdescriptorsize": 10000}}
                if memory
                else {}
            ),
            "maintenance": {
                "uploadpurging": {
                    # Once a pod is enough.
                    "enabled": memory,
                    "age": "24h",
                    "interval": "6h",
                    "dryrun": False,
                }
            },
        },
        "validation": {
            "manifests": {
                # Non-distributable layers name URLs, and without this each is an error 500.
                "urls": {"allow": [PUBLIC_URL], "deny": [LOCAL_URL]},
                # Where there is a memory, an index is one of layers, which are no images.
                "indexes": {"platforms": "none" if memory else "all"},
            }
        },
        "http": {
            "addr": REGISTRY_ADDRESS if memory else MANIFESTS_ADDRESS,
            "secret": http_secret,
            # Locations without scheme and host survive any proxy in front.
            "relativeurls": True,
        },
    }
    if metrics:
        # It serves profiles, too: nothing outside of the pod reaches it.
        config["http"]["debug"] = {
            "addr": METRICS_ADDRESS if memory else MANIFESTS_METRICS_ADDRESS,
            "prometheus": {"enabled": True, "path": METRICS_PATH},
        }
    if webhooks:
        endpoints = [_endpoint(name, webhook) for name, webhook in webhooks.items()]
        config["notifications"] = {"endpoints": endpoints}
    return yaml.safe_dump(config, sort_keys=False)


def _s3(
    *, endpoint: str, region: str, bucket: str, path_style: bool, root_directory: str
) -> dict[str, Any]:
    return {
        "region": region,
        "regionendpoint": endpoint,
        # Not implied since version 3: https://github.com/distribution/distribution/issues/4528
        "forcepathstyle": path_style,
        "bucket": bucket,
        **({"rootdirectory": f"/{root_directory}"} if root_directory else {}),
        "secure": endpoint.startswith("https://"),
        "chunksize": CHUNK_BYTES,
        # Spaces takes 10 concurrent copies to one object, the registry's default is 100:
        # https://docs.digitalocean.com/products/spaces/details/limits/
        "multipartcopymaxconcurrency": 8,
    }


def cache_config(
    *,
    name: str,
    upstream: str,
    endpoint: str,
    region: str,
    bucket: str,
    path_style: bool,
    root_directory: str,
    redirect: bool,
) -> str:
    """Return the configuration of CNCF distribution as the cache of another registry.

    It has a folder of its own, deletes nothing and keeps no state, so that two may run at a time;
    scripts/maintenance/caches.py deletes what it may not keep. It can start without the other
    registry, since only a helper knows its login: otherwise it would ask at once where to log in.
    https://github.com/distribution/distribution/blob/v3.1.2/registry/proxy/proxyauth.go

    `upstream` is the URL of the other registry, `root_directory` the folder of the images.
    """
    config = {
        "version": "0.1",
        "log": {"level": "warn", "formatter": "json", "accesslog": {"disabled": True}},
        "storage": {
            "s3": _s3(
                endpoint=endpoint,
                region=region,
                bucket=bucket,
                path_style=path_style,
                root_directory=f"{root_directory}/{CACHES}{name}".removeprefix("/"),
            )
            # The least: each layer that is fetched takes several.
            | {"chunksize": 5 * 2**20},
            "redirect": {"disable": not redirect},
            "maintenance": {
                # Of pulls that were cut off.
                "uploadpurging": {
                    "enabled": True,
                    "age": "24h",
                    "interval": "6h",
                    "dryrun": False,
                }
            },
        },
        "http": {"addr": f":{PORT}"},
        "proxy": {
            "remoteurl": upstream,
            "ttl": 0,
            # By default a layer is cut off after 5 minutes.
            "cachewritetimeout": "2h",
            # `cat get` prints the file of :func:`login_file`.
            "exec": {"command": "cat"},
        },
    }
    return yaml.safe_dump(config, sort_keys=False)


def login_file(username: str, password: str) -> str:
    """Return the response of a credential helper to the request ``get``.

    https://github.com/docker/docker-credential-helpers#usage
    """
    return json.dumps({"ServerURL": "", "Username": username, "Secret": password})


def _endpoint(name: str, webhook: WebhookSettings) -> dict[str, Any]:
    return {
        "name": name,
        "url": webhook.url,
        "headers": {header: [value] for header, value in webhook.headers.items()},
        "timeout": "5s",
        # After so many failures it waits so long, then goes on with the event that failed.
        "threshold": 5,
        "backoff": "30s",
        "ignore": {
            # Layers: there is one event of an image, that of its manifest.
            "mediatypes": ["application/octet-stream"],
            "actions": [x for x in get_args(WebhookAction) if x not in webhook.actions],
        },
    }


def credentials_file(access_key: str, secret_key: str) -> str:
    """Return an AWS shared credentials file with a default profile.

    A file, since environment variables show in process listings and crash reports. The format:
    https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html
    """
    return f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n"
