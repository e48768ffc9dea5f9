"""The settings of the copy of the images in another bucket."""

from __future__ import annotations

from settings.schedule import Schedule
from settings.storage import S3Bucket


class BackupSettings(S3Bucket):
    """A copy of all images in another bucket."""

    schedule: Schedule = "47 2 * * *"
    """When it is brought up to date, in UTC, as `maintenance.schedule`."""
