"""cert-manager's controllers, with one issuer: the sandbox's certificate authority."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.build import toolchain
from sandbox.build.pinned_tools import CERT_MANAGER, CERT_MANAGER_CRDS
from tests.sandbox.helpers import Sandbox

ISSUER = "sandbox"


@contextmanager
def cert_manager(sandbox: Sandbox) -> Iterator[None]:
    """Run it on the machine instead of in a pod; to build it takes minutes the first time."""
    tools = sandbox.layout.tools
    toolchain.build(tools, [CERT_MANAGER], CERT_MANAGER_CRDS)
    crds = [f"--filename={tools / copy.name}" for copy in CERT_MANAGER_CRDS]
    pki = sandbox.layout.pki
    sandbox.kubectl("apply", "--server-side", *crds)
    sandbox.kubectl(
        "create", "secret", "tls", "ca", "--namespace=kube-system",
        f"--cert={pki / 'ca.crt'}", f"--key={pki / 'ca.key'}",
    )  # fmt: skip
    process = subprocess.Popen(
        [tools / "cert-manager"],
        env=os.environ | {"KUBECONFIG": str(sandbox.layout.kubeconfig)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        sandbox.apply(
            {
                "apiVersion": "cert-manager.io/v1",
                "kind": "ClusterIssuer",
                "metadata": {"name": ISSUER},
                "spec": {"ca": {"secretName": "ca"}},
            }
        )
        sandbox.kubectl("wait", "--for=condition=Ready", f"clusterissuer/{ISSUER}")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        sandbox.kubectl("delete", "secret", "ca", "--namespace=kube-system")
        # Deletes all objects of these kinds.
        sandbox.kubectl("delete", *crds)
