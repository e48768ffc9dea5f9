"""cert-manager, with two issuers: the sandbox's certificate authority, and its ACME server."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.build import toolchain
from sandbox.build.oci import File, write_archive
from sandbox.enclosure.enclosure import enter
from tests.pinned_tools import CERT_MANAGER, CERT_MANAGER_CRDS, CERT_MANAGER_SOLVER
from tests.sandbox.helpers import Sandbox

CA_ISSUER, ACME_ISSUER = "sandbox", "acme"
SOLVER_IMAGE = "localhost/cert-manager-solver:1"


@contextmanager
def cert_manager(sandbox: Sandbox) -> Iterator[None]:
    """Run it on the machine instead of in a pod; to build it takes minutes the first time."""
    tools = sandbox.layout.tools
    toolchain.build(tools, [CERT_MANAGER, CERT_MANAGER_SOLVER], CERT_MANAGER_CRDS)
    archive = sandbox.layout.state / "cert-manager-solver.tar"
    program = File("solver", tools / CERT_MANAGER_SOLVER.name, 0o755)
    write_archive(archive, SOLVER_IMAGE, [program], {"Entrypoint": ["/solver"], "User": "1000"})
    imported = ["ctr", "--namespace=k8s.io", "images", "import", str(archive)]
    subprocess.run([*enter(sandbox.layout), *imported], check=True, capture_output=True)
    crds = [f"--filename={tools / copy.name}" for copy in CERT_MANAGER_CRDS]
    pki = sandbox.layout.pki
    sandbox.kubectl("apply", "--server-side", *crds)
    sandbox.kubectl(
        "create", "secret", "tls", "ca", "--namespace=kube-system",
        f"--cert={pki / 'ca.crt'}", f"--key={pki / 'ca.key'}",
    )  # fmt: skip
    process = subprocess.Popen(
        [tools / "cert-manager"],
        env=os.environ
        | {"KUBECONFIG": str(sandbox.layout.kubeconfig), "SOLVER_IMAGE": SOLVER_IMAGE},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        sandbox.apply(
            {
                "apiVersion": "cert-manager.io/v1",
                "kind": "ClusterIssuer",
                "metadata": {"name": CA_ISSUER},
                "spec": {"ca": {"secretName": "ca"}},
            },
            {
                "apiVersion": "cert-manager.io/v1",
                "kind": "ClusterIssuer",
                "metadata": {"name": ACME_ISSUER},
                "spec": {
                    "acme": {
                        "server": sandbox.layout.acme_server,
                        "caBundle": base64.b64encode((pki / "ca.crt").read_bytes()).decode(),
                        "privateKeySecretRef": {"name": "acme-account"},
                        "solvers": [{"http01": {"ingress": {"ingressClassName": "traefik"}}}],
                    }
                },
            },
        )
        for issuer in (CA_ISSUER, ACME_ISSUER):
            sandbox.kubectl("wait", "--for=condition=Ready", f"clusterissuer/{issuer}")
        yield
    finally:
        try:
            # Deletes all objects of these kinds; some wait until it has cleaned up after them.
            sandbox.kubectl("delete", *crds, "--timeout=60s")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
        sandbox.kubectl("delete", "secret", "ca", "--namespace=kube-system")
