"""User data that lets a new node pull from the registry."""

from __future__ import annotations

import yaml

from scripts.nodes.configure_node import DROP_INS, ONLY_MIRRORS, REGISTRIES, only_mirrors_file
from scripts.nodes.own_file import new_file


class _BlockDumper(yaml.SafeDumper):
    """Writes texts of several lines as block scalars, which a person can read."""


_BlockDumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


def cloud_init(registries: str, *, owner: str, only_mirrors: bool) -> str:
    """Return user data for cloud-init, which writes the files before k3s starts for the first time.

    https://cloudinit.readthedocs.io/en/latest/reference/modules.html#write-files
    """
    files = {REGISTRIES: registries}
    if only_mirrors:
        files[DROP_INS / only_mirrors_file(owner)] = new_file(ONLY_MIRRORS, owner)
    content = {
        "write_files": [
            {"path": f"/{path}", "permissions": "0600", "content": text}
            for path, text in files.items()
        ]
    }
    return "#cloud-config\n" + yaml.dump(content, Dumper=_BlockDumper, sort_keys=False)
