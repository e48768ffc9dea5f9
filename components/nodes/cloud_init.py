"""User data that lets a new node pull from the registry."""

from __future__ import annotations

import yaml

from components.nodes.registries_yaml import ONLY_MIRRORS, ONLY_MIRRORS_PATH, PATH


class _BlockDumper(yaml.SafeDumper):
    """Writes texts of several lines as block scalars, which a person can read."""


_BlockDumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


def cloud_init(registries: str, *, only_mirrors: bool) -> str:
    """Return user data for cloud-init, which writes the files before k3s starts for the first time.

    https://cloudinit.readthedocs.io/en/latest/reference/modules.html#write-files

    Args:
        registries: The text of registries.yaml.
        only_mirrors: Whether k3s must not ask docker.io for what the registry does not have.
    """
    files = {PATH: registries} | ({ONLY_MIRRORS_PATH: ONLY_MIRRORS} if only_mirrors else {})
    content = {
        "write_files": [
            {"path": path, "permissions": "0600", "content": text} for path, text in files.items()
        ]
    }
    return "#cloud-config\n" + yaml.dump(content, Dumper=_BlockDumper, sort_keys=False)
