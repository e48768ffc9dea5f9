"""containerd as k3s starts it: with what registries.yaml says at that moment.

``python -m sandbox.k3s.containerd <k3s> <folder> <base> <docker.io>`` takes the arguments of
``registries.apply``; the third one is a file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sandbox.k3s import registries


def main() -> None:
    """Write containerd's configuration, and become containerd."""
    k3s, folder, base, docker_io = sys.argv[1:]
    registries.apply(Path(k3s), Path(folder), Path(base).read_text(), docker_io)
    os.execvp("containerd", ["containerd", f"--config={folder}/config.toml"])  # noqa: S606 - meant


if __name__ == "__main__":
    main()
