"""More images on the sandbox's node."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandbox.build.oci import File, write_archive
from sandbox.enclosure.enclosure import enter
from tests.sandbox.helpers import Sandbox


def add_image(sandbox: Sandbox, image: str, files: Sequence[File], config: dict[str, Any]) -> None:
    """Make an image of some files, and give it to the node."""
    with tempfile.TemporaryDirectory(dir=sandbox.layout.state) as folder:
        archive = Path(folder) / "image.tar"
        write_archive(archive, image, files, config)
        ctr = (str(sandbox.layout.tools / "ctr"), "--namespace=k8s.io")
        imported = [*enter(sandbox.layout.node), *ctr, "images", "import", str(archive)]
        subprocess.run(imported, check=True, capture_output=True)
