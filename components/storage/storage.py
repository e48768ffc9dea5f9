"""The Space with its storage key, and the connection that a Space and an existing bucket share."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_random as random

from components.storage.new_key import report_others, wait_for_key
from settings.credentials import CloudAccess
from settings.problems import explained
from settings.storage import S3Bucket, SpacesSettings
from settings.storage_place import place, require_same_place

ABORT_UPLOADS_AFTER_DAYS = 1
"""The registry's own purge deletes objects, not the open parts of an upload."""


@dataclass(frozen=True, kw_only=True)
class StorageConnection:
    """A bucket and the storage key for it.

    Attributes:
        root_directory: The folder of the bucket that holds the images; empty for its top.
        managed: Whether this stack creates the bucket and its key, which may then be brand-new.
    """

    endpoint: str
    region: str
    bucket: pulumi.Input[str]
    access_key: pulumi.Input[str]
    secret_key: pulumi.Input[str]
    path_style: bool
    root_directory: str
    managed: bool

    @property
    def document(self) -> pulumi.Output[dict[str, str]]:
        """All of it, as scripts/shared/storage_arguments.py reads it; secret."""
        parts = pulumi.Output.all(
            endpoint=self.endpoint,
            region=self.region,
            bucket=self.bucket,
            access_key=self.access_key,
            secret_key=self.secret_key,
            path_style=json.dumps(self.path_style),
            root_directory=self.root_directory,
        )
        document: pulumi.Output[dict[str, str]] = pulumi.Output.secret(parts)
        return document


def existing_bucket(settings: S3Bucket) -> StorageConnection:
    """Return the connection to a bucket that exists already."""
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


@dataclass(frozen=True, kw_only=True)
class SpaceArgs:
    """What a Space is made of; its key has the registry's hostname for a name."""

    settings: SpacesSettings
    access: CloudAccess
    key_name: str
    rotation: int


class Space(pulumi.ComponentResource):
    """A private Space with a random name, and a storage key for it alone."""

    bucket: pulumi.Output[str]
    connection: StorageConnection

    def __init__(
        self, name: str, args: SpaceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Space", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        suffix = random.RandomString(
            f"{name}-suffix", length=8, special=False, upper=False, opts=child
        )
        space = digitalocean.SpacesBucket(
            f"{name}-bucket",
            name=pulumi.Output.concat(args.settings.name_prefix, "-", suffix.result),
            region=args.settings.region,
            acl="private",
            force_destroy=args.settings.on_destroy == "delete",
            lifecycle_rules=[
                {
                    "id": "abort-incomplete-uploads",
                    "enabled": True,
                    "abort_incomplete_multipart_upload_days": ABORT_UPLOADS_AFTER_DAYS,
                }
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.settings.on_destroy == "protect",
                retain_on_delete=args.settings.on_destroy == "retain",
                # A Space is never replaced: its images would be left behind or deleted. The record
                # refuses such settings; this holds where the state has no record.
                ignore_changes=["name", "region"],
                hooks=None if args.access.has_spaces_key else self._wait_for_key(args),
            ),
        )
        record = pulumi.create_urn("record", "pulumi:index:Stash")
        self.bucket = pulumi.Output.all(space.name, space.region, record).apply(
            explained(lambda actual: self._same(args, *actual))
        )
        key = digitalocean.SpacesKey(
            f"{name}-key",
            name=args.key_name,
            grants=[{"bucket": self.bucket, "permission": "readwrite"}],
            # A key's grants cannot be changed: https://docs.digitalocean.com/reference/api/
            opts=pulumi.ResourceOptions(
                parent=self,
                replace_on_changes=["grants"],
                replacement_trigger=args.rotation,
                hooks=pulumi.ResourceHookBinding(before_create=[report_others(args.access)]),
            ),
        )
        self.connection = StorageConnection(
            endpoint=args.access.spaces_endpoint.replace("{{.Region}}", args.settings.region),
            region=args.settings.region,
            bucket=self.bucket,
            access_key=key.access_key,
            secret_key=key.secret_key,
            path_style=True,
            root_directory="",
            managed=True,
        )
        self.register_outputs({"bucket": self.bucket, "access_key": key.access_key})

    def _wait_for_key(self, args: SpaceArgs) -> pulumi.ResourceHookBinding:
        provider = self.get_provider("digitalocean:index/spacesBucket:SpacesBucket")
        assert isinstance(provider, digitalocean.Provider)  # noqa: S101 - it creates the Space
        return pulumi.ResourceHookBinding(
            before_create=[wait_for_key(provider, args.settings.region)]
        )

    @staticmethod
    def _same(args: SpaceArgs, name: str, region: str, record: str) -> str:
        """Return the Space's name, if it is the Space that the settings describe.

        They differ only if the settings were changed before the state had a record, which is then
        wrong.
        """
        wanted = place(args.settings, args.access.spaces_endpoint)
        actual = {**wanted, "region": region, "namePrefix": name.rpartition("-")[0]}
        require_same_place(actual, wanted, None, f"pulumi up --replace '{record}'")
        return name
