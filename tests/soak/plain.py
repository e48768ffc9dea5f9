"""A plain registry behind an htpasswd file, as a process: what the program is compared with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import bcrypt
import yaml

from tests.soak.servers import BUCKET, REGION, Servers, free_port, wait_for


class Plain:
    """CNCF distribution as its image configures it, but for users and storage.

    https://github.com/distribution/distribution/blob/v3.1.2/cmd/registry/config-example.yml

    Args:
        folder: An empty one.
        servers: Where the S3 server is, of which it takes another folder.
    """

    def __init__(self, folder: Path, servers: Servers) -> None:
        self.port = 0
        self._folder, self._servers = folder, servers

    def start(self, users: Iterable[str]) -> None:
        """Start it.

        Args:
            users: Who may log in, and so do everything. A name is the password, too.
        """
        self.port = free_port(("127.0.0.1",))
        htpasswd = self._folder / "htpasswd"
        hashes = {x: bcrypt.hashpw(x.encode(), bcrypt.gensalt(4)).decode() for x in users}
        htpasswd.write_text("".join(f"{name}:{value}\n" for name, value in hashes.items()))
        config = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {
                "cache": {"blobdescriptor": "inmemory"},
                "s3": {
                    "region": REGION,
                    "regionendpoint": self._servers.endpoint,
                    "forcepathstyle": True,
                    "bucket": BUCKET,
                    "rootdirectory": "/plain",
                    "secure": False,
                },
                "tag": {"concurrencylimit": 8},
                # What this program has settings for, as it sets them by default.
                "delete": {"enabled": True},
                "redirect": {"disable": True},
            },
            "http": {
                "addr": f"127.0.0.1:{self.port}",
                "headers": {"X-Content-Type-Options": ["nosniff"]},
            },
            "auth": {"htpasswd": {"realm": "registry", "path": str(htpasswd)}},
        }
        file = self._folder / "config.yml"
        file.write_text(yaml.safe_dump(config))
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(self._servers.tools / "registry"), "serve", str(file)],
                env=os.environ | self._servers.environment(),
                stdout=log,
                stderr=log,
            )
        wait_for(f"http://127.0.0.1:{self.port}/v2/")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
