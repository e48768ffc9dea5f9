"""What makes a new node able to pull from the registry."""

from __future__ import annotations

import textwrap

from components.render.registries_yaml import ONLY_MIRRORS, ONLY_MIRRORS_PATH, PATH


def cloud_init(registries: str, *, only_mirrors: bool) -> str:
    """Write user data for cloud-init, to be there before k3s starts for the first time.

    https://cloudinit.readthedocs.io/en/latest/reference/modules.html#write-files

    Args:
        registries: The text of registries.yaml.
        only_mirrors: Whether k3s must not ask docker.io for what the registry does not have.
    """
    files = {PATH: registries} | ({ONLY_MIRRORS_PATH: ONLY_MIRRORS} if only_mirrors else {})
    written = "".join(
        # In quotes: a number would be read as octal by some parsers, and not by others.
        f'  - path: {path}\n    permissions: "0600"\n    content: |\n'
        + textwrap.indent(text, " " * 6)
        for path, text in files.items()
    )
    return f"#cloud-config\nwrite_files:\n{written}"
