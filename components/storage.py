"""The Space that keeps the images, and a key that opens it and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_random as random

from components.connection import StorageConnection

ABORT_UPLOADS_AFTER_DAYS = 1
"""The registry's own purge deletes objects, not the open parts of an upload."""


@dataclass(frozen=True, kw_only=True)
class SpaceArgs:
    """What a Space is made of.

    Attributes:
        endpoint: The URL of Spaces in the region, without the bucket.
        region: The datacenter region, such as nyc3.
        name_prefix: What the Space's name starts with; at most 54 characters.
        key_name: The storage key's name; the registry's host name tells what it is for.
        protect: Refuse to delete the Space.
        force_destroy: Delete it together with what is in it.
    """

    endpoint: str
    region: str
    name_prefix: str
    key_name: str
    protect: bool
    force_destroy: bool


class Space(pulumi.ComponentResource):
    """A private Space with a random name, and a storage key for it alone.

    Attributes:
        bucket: The Space's name.
        connection: All that the registry needs to use it.
    """

    bucket: pulumi.Output[str]
    connection: StorageConnection

    def __init__(
        self, name: str, args: SpaceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Space", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        # Replacing this renames the Space: all images would be left behind in the old one.
        suffix = random.RandomString(
            f"{name}-suffix", length=8, special=False, upper=False, opts=child
        )
        space = digitalocean.SpacesBucket(
            f"{name}-bucket",
            name=pulumi.Output.concat(args.name_prefix, "-", suffix.result),
            region=args.region,
            acl="private",
            force_destroy=args.force_destroy,
            lifecycle_rules=[
                {
                    "id": "abort-incomplete-uploads",
                    "enabled": True,
                    "abort_incomplete_multipart_upload_days": ABORT_UPLOADS_AFTER_DAYS,
                }
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                # The provider would not rename the Space but address one that does not exist.
                replace_on_changes=["name"],
            ),
        )
        key = digitalocean.SpacesKey(
            f"{name}-key",
            name=args.key_name,
            grants=[{"bucket": space.name, "permission": "readwrite"}],
            # A key's grants cannot be changed: https://docs.digitalocean.com/reference/api/
            opts=pulumi.ResourceOptions(parent=self, replace_on_changes=["grants"]),
        )
        self.bucket = space.name
        self.connection = StorageConnection(
            endpoint=args.endpoint,
            region=args.region,
            bucket=space.name,
            access_key=key.access_key,
            secret_key=key.secret_key,
            path_style=True,
            root_directory="",
            managed=True,
        )
        self.register_outputs({"bucket": self.bucket})
