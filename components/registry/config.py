"""The registry's configuration file and its AWS credentials file."""

from __future__ import annotations

import yaml

from settings.schema import CHUNK_BYTES

PORT = 5000
"""The port that the registry listens on, as in its documentation."""

HTPASSWD = "/etc/registry/auth/htpasswd"
"""The path of the registry's user file."""

DRAIN_SECONDS = 60
"""How long running uploads may take to finish when a pod stops. Without it they are cut at once:
https://distribution.github.io/distribution/about/configuration/#http"""


def registry_config(
    *,
    endpoint: str,
    region: str,
    bucket: str,
    path_style: bool,
    root_directory: str,
    http_secret: str,
) -> str:
    """Return config.yml for CNCF distribution 3.1.

    Args:
        endpoint: The S3 server's URL, without the bucket.
        region: The region that requests are signed for.
        bucket: The bucket that holds the images.
        path_style: Whether requests name the bucket in the path instead of the host name.
        root_directory: The folder of the bucket that holds the images; empty for its top.
        http_secret: Signs the state of uploads; the same in every replica.
    """
    scheme, _, host = endpoint.partition("://")
    config = {
        "version": "0.1",
        "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": True}},
        "storage": {
            "s3": {
                "region": region,
                "regionendpoint": endpoint,
                # Not implied since version 3: https://github.com/distribution/distribution/issues/4528
                "forcepathstyle": path_style,
                "bucket": bucket,
                **({"rootdirectory": f"/{root_directory}"} if root_directory else {}),
                "secure": scheme == "https",
                "chunksize": CHUNK_BYTES,
                # Spaces takes 10 concurrent copies to one object, the registry's default is 100:
                # https://docs.digitalocean.com/products/spaces/details/limits/
                "multipartcopymaxconcurrency": 8,
            },
            "delete": {"enabled": True},
            # A pull's bytes go through the registry: no client needs to reach the S3 server.
            "redirect": {"disable": True},
            "cache": {"blobdescriptor": "inmemory", "blobdescriptorsize": 10000},
            "maintenance": {
                "uploadpurging": {
                    "enabled": True,
                    "age": "24h",
                    "interval": "6h",
                    "dryrun": False,
                }
            },
        },
        "auth": {"htpasswd": {"realm": "registry", "path": HTPASSWD}},
        # Non-distributable layers name URLs, and without this each of them is an error 500.
        "validation": {"manifests": {"urls": {"allow": ["^https?://"]}}},
        "http": {
            "addr": f":{PORT}",
            "secret": http_secret,
            # Locations without scheme and host survive any proxy in front.
            "relativeurls": True,
            "draintimeout": f"{DRAIN_SECONDS}s",
            "headers": {"X-Content-Type-Options": ["nosniff"]},
        },
        "health": {
            "storagedriver": {"enabled": True, "interval": "10s", "threshold": 3},
            # The check above never ends when the S3 server hangs; this one has a timeout. A private
            # bucket answers an anonymous request with 403, as check_storage.py has made sure.
            "http": [
                {
                    "uri": f"{endpoint}/{bucket}" if path_style else f"{scheme}://{bucket}.{host}/",
                    "statuscode": 403,
                    "timeout": "3s",
                    "interval": "5s",
                    "threshold": 3,
                }
            ],
        },
    }
    return yaml.safe_dump(config, sort_keys=False)


def credentials_file(access_key: str, secret_key: str) -> str:
    """Return an AWS shared credentials file with a default profile.

    A file, since environment variables show in process listings and crash reports. The format:
    https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html

    Args:
        access_key: The storage key's access key ID.
        secret_key: Its secret access key.
    """
    return f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n"
