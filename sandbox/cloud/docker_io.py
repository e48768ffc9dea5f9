"""The registry that stands in for docker.io: a real one, with what the sandbox put into it.

Not covered: Docker Hub's own names, its logins and its limits. Anybody may push and pull.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from sandbox.cloud.spaces import STOP
from sandbox.enclosure.process import Process
from sandbox.layout import Layout

_PORT = 5000


def config(address: str, folder: Path) -> str:
    """Write the registry's configuration as YAML.

    Args:
        address: Where it listens: host and port.
        folder: Where it keeps images.
    """
    return yaml.safe_dump(
        {
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": str(folder)}},
            "http": {"addr": address},
        }
    )


def processes(layout: Layout) -> list[Process]:
    """Give the registry's process, and write its configuration.

    Args:
        layout: The sandbox; its ``cloud_ip`` must be an address of the network namespace in which
            the process will run.
    """
    cloud = layout.state / "cloud"
    cloud.mkdir(parents=True, exist_ok=True)
    path = cloud / "docker-io.yml"
    path.write_text(config(f"{layout.cloud_ip}:{_PORT}", cloud / "docker-io"))
    registry = str(layout.tools / "registry")
    # Without it the registry, which traces by default, looks for a collector on the loopback:
    # https://github.com/distribution/distribution/issues/4270
    return [
        Process(
            "docker-io",
            [registry, "serve", str(path)],
            {"OTEL_TRACES_EXPORTER": "none"},
            stop=STOP,
        )
    ]
