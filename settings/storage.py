"""The storage section: a Space that is created, or an existing bucket."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import ValidationInfo, field_validator

from settings.section import FixableError, Flag, Section, Text
from settings.servers import Endpoint
from settings.types import (
    AccessKey,
    Bucket,
    Folder,
    NamePrefix,
    S3Region,
    SecretKey,
    SpacesRegion,
)


class SpacesSettings(Section):
    """A Space that this program creates."""

    kind: Literal["spaces"] = "spaces"
    region: SpacesRegion = "nyc3"
    """The datacenter region of the Space, best the cluster's."""
    # The name of a deleted Space stays blocked:
    # https://docs.digitalocean.com/products/spaces/details/limits/
    name_prefix: NamePrefix = "registry"
    """The start of the Space's name; a random suffix follows."""
    on_destroy: Literal["protect", "retain", "delete"] = "protect"
    """What `pulumi destroy` does to the Space: `protect` refuses to destroy it, `retain` leaves it
    and its images in the account, `delete` deletes both."""


class S3Bucket(Section):
    """A bucket on any S3 server."""

    bucket: Bucket
    """The bucket's name."""
    endpoint: Endpoint
    """The server's URL, without the bucket."""
    region: S3Region = "us-east-1"
    """The region that requests are signed for."""
    access_key: AccessKey
    """The storage key's access key ID."""
    secret_key: SecretKey
    """Its secret access key."""
    path_style: Flag = True
    """Requests name the bucket in the path instead of the host name."""
    root_directory: Folder = ""
    """The folder of the bucket that holds the images; empty for its top."""

    @field_validator("endpoint")
    @classmethod
    def _name_the_server(cls, endpoint: str, info: ValidationInfo) -> str:
        scheme, _, host = endpoint.partition("://")
        server = host.removeprefix(f"{info.data.get('bucket')}.")
        # A Service in the cluster may well have the bucket's name.
        if server != host and server.count(".") > 1 and not re.search(r"\.svc([.:]|$)", server):
            raise FixableError(
                "expected the server's URL, without the bucket", f"{scheme}://{server}"
            )
        return endpoint

    @field_validator("endpoint")
    @classmethod
    def _encrypt(cls, endpoint: str) -> str:
        right = endpoint.replace("http:", "https:")
        if endpoint != right and right.endswith((".amazonaws.com", ".digitaloceanspaces.com")):
            raise FixableError(
                "expected https: images would cross the internet in plaintext", right
            )
        return endpoint

    @field_validator("region")
    @classmethod
    def _match_endpoint(cls, region: str, info: ValidationInfo) -> str:
        # https://docs.aws.amazon.com/general/latest/gr/s3.html
        endpoint = re.fullmatch(
            r"https://(.*\.)?s3(-fips)?[.-](dualstack\.)?([a-z]+(-[a-z]+)+-\d)"
            r"(\.vpce)?\.amazonaws\.com(\.cn)?(:443)?",
            info.data.get("endpoint", ""),
        )
        if endpoint and endpoint[4] != region:
            raise FixableError("expected the region that is in the endpoint", endpoint[4])
        return region

    @field_validator("path_style")
    @classmethod
    def _fit_certificate(cls, path_style: bool, info: ValidationInfo) -> bool:
        https = info.data.get("endpoint", "").startswith("https:")
        if not path_style and https and "." in info.data.get("bucket", ""):
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
            raise FixableError(
                "expected true: no wildcard certificate is valid for a bucket with a dot", True
            )
        return path_style


class S3Settings(S3Bucket):
    """An existing bucket on any S3 server: AWS, MinIO, another Space."""

    kind: Literal["s3"] = "s3"
    moved_from: Text | None = None
    """The URL of the place that the images were copied from, which allows `pulumi up` to [switch to
    this bucket](docs/storage.md#move-the-images)."""
