"""From the settings to a store: a Space that is created, or a bucket that exists."""

from __future__ import annotations

import pulumi

from components.connection import StorageConnection
from components.providers import spaces_provider
from components.settings.access import Access
from components.settings.sections import S3Settings, SpacesSettings
from components.storage import Space, SpaceArgs


def connect(
    settings: SpacesSettings | S3Settings, access: Access, *, key_name: str
) -> StorageConnection:
    """Answer the store that keeps the images; create it if it is a Space.

    Args:
        settings: Which store.
        access: What opens the cloud.
        key_name: The name of a Space's storage key.
    """
    if isinstance(settings, S3Settings):
        return StorageConnection(
            endpoint=settings.endpoint,
            region=settings.region,
            bucket=settings.bucket,
            access_key=settings.access_key,
            secret_key=pulumi.Output.secret(settings.secret_key),
            path_style=settings.path_style,
            root_directory=settings.root_directory,
            managed=False,
        )
    space = Space(
        "storage",
        SpaceArgs(
            endpoint=access.spaces_endpoint.replace("{{.Region}}", settings.region),
            region=settings.region,
            name_prefix=settings.name_prefix,
            key_name=key_name,
            protect=settings.protect,
            force_destroy=settings.force_destroy,
        ),
        opts=pulumi.ResourceOptions(provider=spaces_provider(access)),
    )
    return space.connection
