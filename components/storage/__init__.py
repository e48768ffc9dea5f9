"""Where images are kept: a Space that this stack creates, or an existing bucket."""

from components.storage.check import check_storage
from components.storage.storage import Space, SpaceArgs, StorageConnection, existing_bucket

__all__ = ["Space", "SpaceArgs", "StorageConnection", "check_storage", "existing_bucket"]
