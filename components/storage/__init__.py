"""Where images are kept: a Space that this stack creates, or an existing bucket."""

from components.storage.check import StorageCheck, StorageCheckArgs
from components.storage.storage import Space, SpaceArgs, StorageConnection, existing_bucket

__all__ = [
    "Space",
    "SpaceArgs",
    "StorageCheck",
    "StorageCheckArgs",
    "StorageConnection",
    "existing_bucket",
]
