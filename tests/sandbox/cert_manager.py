"""cert-manager, with two issuers: the sandbox's certificate authority, and its ACME server."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from sandbox.build import toolchain
from sandbox.build.oci import File, write_archive
from sandbox.enclosure.enclosure import enter
from tests.pinned_tools import CERT_MANAGER, CERT_MANAGER_CRDS, CERT_MANAGER_SOLVER
from tests.sandbox.helpers import Sandbox, define_kinds

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
    imported = [str(tools / "ctr"), "--namespace=k8s.io", "images", "import", str(archive)]
    subprocess.run([*enter(sandbox.layout.node), *imported], check=True, capture_output=True)
    crds = [tools / copy.name for copy in CERT_MANAGER_CRDS]
    # Deletes all objects of these kinds, too.
    delete = ("delete", *(f"--filename={file}" for file in crds), "--ignore-not-found")
    pki, namespace = sandbox.layout.pki, "--namespace=kube-system"
    with ExitStack() as undo:
        undo.callback(sandbox.kubectl, *delete, "--timeout=60s")
        define_kinds(sandbox, crds)
        undo.callback(sandbox.kubectl, "delete", "secret", "ca", namespace, "--ignore-not-found")
        keys = (f"--cert={pki / 'ca.crt'}", f"--key={pki / 'ca.key'}")
        sandbox.kubectl("create", "secret", "tls", "ca", namespace, *keys)
        undo.enter_context(controllers(sandbox))
        # While they run: some objects wait until they have cleaned up after them.
        undo.callback(sandbox.kubectl, *delete, "--timeout=60s")
        sandbox.apply(*issuers(sandbox))
        for issuer in (CA_ISSUER, ACME_ISSUER):
            ready = ("--for=condition=Ready", f"clusterissuer/{issuer}", "--timeout=60s")
            sandbox.kubectl("wait", *ready)
        yield


@contextmanager
def controllers(sandbox: Sandbox) -> Iterator[None]:
    own = {"KUBECONFIG": str(sandbox.layout.kubeconfig), "SOLVER_IMAGE": SOLVER_IMAGE}
    with subprocess.Popen(
        [sandbox.layout.tools / "cert-manager"],
        env=os.environ | own,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.terminate()


def issuers(sandbox: Sandbox) -> list[dict[str, Any]]:
    authority = (sandbox.layout.pki / "ca.crt").read_bytes()
    acme = {
        "server": sandbox.layout.acme_server,
        "caBundle": base64.b64encode(authority).decode(),
        "privateKeySecretRef": {"name": "acme-account"},
        "solvers": [{"http01": {"ingress": {"ingressClassName": "traefik"}}}],
    }
    return [
        {
            "apiVersion": "cert-manager.io/v1",
            "kind": "ClusterIssuer",
            "metadata": {"name": name},
            "spec": spec,
        }
        for name, spec in ((CA_ISSUER, {"ca": {"secretName": "ca"}}), (ACME_ISSUER, {"acme": acme}))
    ]
