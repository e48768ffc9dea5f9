"""``make tools-archive``: builds the tools, and writes an archive of them."""

from __future__ import annotations

import sys
from pathlib import Path

from sandbox.build import archive, toolchain
from sandbox.layout import Layout
from sandbox.progress import say, step

_ROOT = Path(__file__).parents[2]

if __name__ == "__main__":
    # All sandboxes of a checkout share them.
    tools = Layout(_ROOT, "sandbox", 0).tools
    try:
        toolchain.build(tools)
    except toolchain.ToolchainError as error:
        sys.exit(f"error: {error}")
    with step("compressing"):
        value = archive.write(tools, _ROOT / "dist")
    say(f"the archive is complete; on another machine:\n  {archive.VARIABLE}={value} make up")
