"""The clients, and what they reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.build import debian, toolchain
from sandbox.build.pinned_tools import TOOLS
from tests.pinned_tools import CLIENTS

ROOT = Path(__file__).parent.parent.parent
PACKAGES = {"skopeo": "skopeo", "podman": "podman", "buildah": "buildah", "dockerd": "docker.io"}
PACKAGES |= {"runc": "runc", "gpg": "gpg", "openssl": "openssl"}
"""Debian's packages of the clients that are not built here."""


@pytest.fixture(scope="session")
def tools() -> Path:
    debian.install(PACKAGES)
    folder = ROOT / ".sandbox" / "tools"
    wanted = [tool for tool in TOOLS if tool.name in {"caddy", "registry", "versitygw"}]
    toolchain.build(folder, (*wanted, *CLIENTS), [])
    return folder
