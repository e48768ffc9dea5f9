"""The sandbox's images have what the program's defaults have."""

from __future__ import annotations

import re

from sandbox.build.pinned_tools import PYTHON_MODULE, SOURCES, TOOLS, pinned
from settings.schema import RegistrySettings, ScriptsSettings


def minor(version: str) -> str:
    (found,) = re.findall(r"3\.\d+(?=\.\d)", version)
    return str(found)


def test_scripts_run_on_the_minor_version_of_python_that_users_have() -> None:
    assert minor(pinned(SOURCES / "python", PYTHON_MODULE)) == minor(ScriptsSettings().image)


def test_registry_and_proxy_are_of_the_version_that_users_have() -> None:
    versions = {tool.name: tool.version for tool in TOOLS}
    assert RegistrySettings().image.endswith(f"/registry:{versions['registry']}")
    assert RegistrySettings().proxy_image.endswith(f"/caddy:{versions['caddy']}")
