"""Build all that the tests start: `make test` shows the progress, a test alone would not."""

from __future__ import annotations

from sandbox import lifecycle
from sandbox.build import debian, images, toolchain
from sandbox.build.pinned_tools import (
    CERT_MANAGER,
    CERT_MANAGER_SOLVER,
    CONFORMANCE,
    KUBE_STATE_METRICS,
    MINIO,
    PROMETHEUS,
    TOOLS,
)
from tests.sandbox.helpers import NAME, ROOT

if __name__ == "__main__":
    tools = lifecycle.claim(ROOT, NAME).tools
    debian.install()
    rare = (MINIO, KUBE_STATE_METRICS, CERT_MANAGER, CERT_MANAGER_SOLVER, CONFORMANCE)
    toolchain.build(tools, (*TOOLS, *rare, *PROMETHEUS))
    images.build(tools)
