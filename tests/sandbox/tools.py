"""Build all that the tests start: `make test` shows the progress, a test alone would not."""

from __future__ import annotations

from sandbox.build import debian, image_store, images, toolchain
from sandbox.build.pinned_tools import TOOLS
from sandbox.layout import Layout
from tests.pinned_tools import SANDBOX_TOOLS
from tests.sandbox.helpers import NAME, ROOT

if __name__ == "__main__":
    # All sandboxes share it, whatever their number.
    tools = Layout(ROOT, NAME, 0).tools
    debian.install()
    toolchain.build(tools, (*TOOLS, *SANDBOX_TOOLS))
    images.build(tools)
    image_store.build(tools)
