"""The scripts that pods run: one folder of scripts/, and the one that all share."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes

_SCRIPTS = Path(__file__).parent.parent / "scripts"
_SHARED = "shared"


def script_files(folder: str) -> dict[str, str]:
    """Return the files of a ConfigMap with a folder's scripts, and those that it shares.

    The key of ``maintenance/walk.py`` is ``maintenance.walk.py``: keys have no slashes.
    """
    return {
        f"{path.parent.name}.{path.name}": path.read_text()
        for name in (folder, _SHARED)
        for path in sorted((_SCRIPTS / name).glob("*.py"))
    }


def script_volume(folder: str, config_map: pulumi.Input[str]) -> kubernetes.core.v1.VolumeArgsDict:
    """Return the volume with a folder's scripts, for a mount at ``scripts`` where Python starts."""
    return {
        "name": "code",
        "config_map": {
            "name": config_map,
            "default_mode": 0o440,
            "items": [
                {"key": key, "path": key.replace(".", "/", 1)} for key in script_files(folder)
            ],
        },
    }
