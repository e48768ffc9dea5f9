"""The commands of docs/storage.md that copy images to another bucket."""

from __future__ import annotations

import os
import re
import textwrap
from configparser import ConfigParser
from pathlib import Path
from typing import NamedTuple

from sandbox.build import debian
from sandbox.cloud import spaces
from sandbox.layout import REGION
from tests.sandbox.existing_buckets import ExistingBucket
from tests.sandbox.helpers import ROOT, Sandbox

BLOCK = re.compile(r"^ *```bash\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


class Move(NamedTuple):
    """A move of images.

    Attributes:
        sandbox: The sandbox.
        old: The bucket's name, on the sandbox's S3 server.
        new: The bucket's name.
        config: The file with both of rclone's remotes.
    """

    sandbox: Sandbox
    old: str
    new: str
    config: Path

    def copy(self) -> None:
        self._documented("rclone copy")

    def check(self) -> None:
        self._documented("rclone check")

    def _documented(self, command: str) -> None:
        """Run the lines of the block with this command, word for word but for the buckets."""
        text = (ROOT / "docs" / "storage.md").read_text()
        (block,) = (x for x in BLOCK.findall(text) if command in x)
        lines = textwrap.dedent(block).partition("python3 -m scripts.storage.check_storage")[0]
        lines = lines.replace("old:<bucket>", f"old:{self.old}")
        lines = lines.replace("new:<bucket>", f"new:{self.new}")
        folder = self.sandbox.layout.state / "rclone"
        if not folder.exists():
            folder.mkdir()
            debian.unpack("rclone", folder)
        path = f"PATH={folder / 'usr' / 'bin'}:{os.environ['PATH']}"
        # AWS's SDK refuses a machine's bundle together with a transport of the program's own, which
        # rclone has, as others do: https://github.com/wal-g/wal-g/issues/1762
        environment = ("--unset=AWS_CA_BUNDLE", path, f"RCLONE_CONFIG={self.config}")
        self.sandbox.run("env", *environment, "sh", "-ec", lines)


def move(sandbox: Sandbox, old: str, new: str, server: ExistingBucket, config: Path) -> Move:
    """Return a move from a bucket of the sandbox's S3 server to one of any server.

    Args:
        sandbox: The sandbox.
        old: The bucket's name.
        new: The bucket's name.
        server: The server of the new bucket, as this machine reaches it, with a key.
        config: The file to write rclone's remotes to.
    """
    keys = spaces.secrets(sandbox.layout)
    remotes = {
        "old": (sandbox.s3_endpoint, REGION, keys.root_access_key, keys.root_secret_key),
        "new": (server.endpoint, server.region, server.access_key, server.secret_key),
    }
    names = ("endpoint", "region", "access_key_id", "secret_access_key")
    remote = ConfigParser(interpolation=None)
    for name, values in remotes.items():
        common = {"type": "s3", "provider": "Other"}
        remote[name] = common | dict(zip(names, values, strict=True))
    config.touch(mode=0o600)
    with config.open("w") as file:
        remote.write(file)
    return Move(sandbox, old, new, config)
