"""The stand-in for docker.io: a real registry, with the images that the sandbox pushes to it.

Not covered: Docker Hub's images, logins and rate limits. Anonymous clients may push and pull.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from sandbox.cloud.spaces import STOP
from sandbox.enclosure.process import Process
from sandbox.layout import Layout

_PORT = 5000


def config(address: str, folder: Path) -> str:
    """Return the registry's configuration, as YAML.

    Args:
        address: Host and port to listen on.
        folder: Where it stores images.
    """
    return yaml.safe_dump(
        {
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": str(folder)}},
            "http": {"addr": address},
        }
    )


def processes(layout: Layout) -> list[Process]:
    """Return the registry's process; write its configuration.

    Args:
        layout: The sandbox; its ``cloud_ip`` must be an address of the network namespace in which
            the process will run.
    """
    cloud = layout.state / "cloud"
    cloud.mkdir(parents=True, exist_ok=True)
    path = cloud / "docker-io.yml"
    path.write_text(config(f"{layout.cloud_ip}:{_PORT}", cloud / "docker-io"))
    registry = str(layout.tools / "registry")
    # Without it the registry, which traces by default, looks for a collector on loopback:
    # https://github.com/distribution/distribution/issues/4270
    return [
        Process(
            "docker-io",
            [registry, "serve", str(path)],
            {"OTEL_TRACES_EXPORTER": "none"},
            stop=STOP,
        )
    ]
