"""Faults on demand: what was just created is unknown to Spaces for a while.

DigitalOcean documents no delay, and users report seconds to minutes:
https://github.com/digitalocean/terraform-provider-digitalocean/issues/1153
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.cloud.key import Key

if TYPE_CHECKING:
    from botocore.client import BaseClient


class Delays:
    """How long new keys and Spaces are unknown; by default not at all.

    Args:
        iam: A client of the IAM server, with the root key.
        folder: The S3 server's data folder, in which each Space is a folder.

    Attributes:
        key_seconds: How long Spaces responds with InvalidAccessKeyId to a new key.
        space_seconds: How long Spaces responds with NoSuchBucket once a Space has got its key.
    """

    def __init__(self, iam: BaseClient, folder: Path) -> None:
        self._iam = iam
        self._folder = folder
        self._hidden: set[str] = set()
        self._due: list[Callable[[], None]] = []
        self.key_seconds = 0.0
        self.space_seconds = 0.0

    def spaces(self) -> set[str]:
        """Return the names of the Spaces, including those that are unknown for now."""
        names = {path.name for path in self._folder.iterdir() if not path.name.startswith(".")}
        return names | self._hidden

    def begin(self, key: Key) -> None:
        """Make a new key and the Spaces that it opens unknown for as long as is set."""
        if self.key_seconds:
            self._set_status(key, "Inactive")
            self._schedule(self.key_seconds, lambda: self._set_status(key, "Active"))
        for name in {grant["bucket"] for grant in key.grants} & self.spaces():
            if self.space_seconds:
                self._hide(name)

    def end(self) -> None:
        """Make known at once what is unknown for now."""
        while self._due:
            self._due.pop()()

    def _schedule(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something later, or in :meth:`end` if that is sooner."""

        def act() -> None:
            try:
                self._due.remove(action)
            except ValueError:
                return
            action()

        self._due.append(action)
        _later(seconds, act)

    def _set_status(self, key: Key, status: str) -> None:
        self._iam.update_access_key(UserName=key.user, AccessKeyId=key.access_key, Status=status)

    def _hide(self, name: str) -> None:
        self._hidden.add(name)
        space = self._folder / name
        # Beside the data folder, whose subfolders are Spaces whatever their name.
        hidden = space.rename(self._folder.parent / f"hidden-{name}")

        def show() -> None:
            hidden.rename(space)
            self._hidden.discard(name)

        self._schedule(self.space_seconds, show)


def _later(seconds: float, action: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()
