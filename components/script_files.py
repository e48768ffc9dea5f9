"""The scripts that pods run: one folder of scripts/, and the one that all share."""

from __future__ import annotations

from collections.abc import Mapping
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


def config_map(
    name: str,
    namespace: pulumi.Input[str],
    labels: Mapping[str, str],
    files: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """Create a ConfigMap that is named anew when it changes, with all that uses it; its name."""
    return kubernetes.core.v1.ConfigMap(
        name,
        metadata={"namespace": namespace, "labels": labels},
        immutable=True,
        data=files,
        opts=opts,
    ).metadata.name


def secret(
    name: str,
    namespace: pulumi.Input[str],
    labels: Mapping[str, str],
    files: Mapping[str, pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """Create a Secret in the same way; its name."""
    return kubernetes.core.v1.Secret(
        name,
        metadata={"namespace": namespace, "labels": labels},
        immutable=True,
        string_data=files,
        opts=opts,
    ).metadata.name


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


def token_volume() -> kubernetes.core.v1.VolumeArgsDict:
    """Return the volume with a token for the API server, and the certificate of its CA."""
    ca: kubernetes.core.v1.VolumeProjectionArgsDict = {
        "config_map": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    }
    token: kubernetes.core.v1.VolumeProjectionArgsDict = {
        "service_account_token": {"path": "token", "expiration_seconds": 3600}
    }
    return {
        "name": "credentials",
        "projected": {"default_mode": 0o440, "sources": [token, ca]},
    }
