"""The component, hosted by the stand-in of Python's language host, in another program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import pki
from sandbox.build import images
from sandbox.cloud import spaces
from tests.sandbox.helpers import ROOT, Sandbox, eventually
from tests.sandbox.test_new_project import Shell

PROJECT = f"""
name: consumer
runtime: {{name: python, options: {{toolchain: pip, virtualenv: {ROOT}/venv}}}}
plugins: {{providers: [{{name: registry, path: {ROOT}/package}}]}}
"""

PROGRAM = """
import pulumi


class PrivateRegistry(pulumi.ComponentResource):
    # What `pulumi package add` writes, but for the types.
    password: pulumi.Output[str]

    def __init__(self, name, inputs):
        outputs = {"password": None}
        super().__init__("registry:index:PrivateRegistry", name, {**inputs, **outputs}, None, True)


pulumi.export("password", PrivateRegistry("team", INPUTS).password)
"""


@pytest.fixture
def consumer(sandbox: Sandbox, tmp_path: Path) -> Iterator[Shell]:
    """Another program with a registry, in a folder and a stack of its own."""
    inputs = {
        "hostname": f"second.{sandbox.layout.domain}",
        "namespace": "registry-package",
        "registryImage": images.REGISTRY,
        "registryProxyImage": images.CADDY,
        "registryParallelUploads": 4,
        "scriptsImage": images.PYTHON,
        "storageOnDestroy": "delete",
    }
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    (tmp_path / "__main__.py").write_text(PROGRAM.replace("INPUTS", repr(inputs)))
    shell = Shell(sandbox, tmp_path)
    shell.run("pulumi install && pulumi stack init consumer")
    shell.run("pulumi config set --secret digitalocean:token", spaces.secrets(sandbox.layout).token)
    yield shell
    shell.run("pulumi destroy --yes --skip-preview && pulumi stack rm --yes")


def test_the_engine_gets_the_golden_schema_from_the_component(consumer: Shell) -> None:
    schema = json.loads(consumer.run(f"pulumi package get-schema {ROOT}/package").stdout)
    golden = ROOT / "tests" / "unit" / "program" / "golden" / "package-schema.json"
    own, expected = (
        document["resources"]["registry:index:PrivateRegistry"]
        for document in (schema, json.loads(golden.read_text()))
    )
    for part in ("inputProperties", "properties"):
        # The engine keeps no descriptions of elements.
        types, expected_types = (
            {name: (x["type"], x.get("plain")) for name, x in document[part].items()}
            for document in (own, expected)
        )
        assert types == expected_types
    assert own["requiredInputs"] == expected["requiredInputs"] == ["hostname"]


def test_another_program_creates_a_registry_that_lets_its_admin_in(
    sandbox: Sandbox, consumer: Shell, tmp_path: Path
) -> None:
    consumer.run("pulumi up --yes --skip-preview")
    consumer.run("pulumi up --yes --skip-preview --expect-no-changes")
    hostname = f"second.{sandbox.layout.domain}"
    certificate, key = pki.issue(sandbox.layout.pki, "package", hostname)
    consumer.run(
        "kubectl create secret tls registry-tls --namespace registry-package "
        f"--cert {certificate} --key {key}"
    )
    login = (
        "pulumi stack output password --show-secrets | podman login --username admin "
        f"--password-stdin --authfile {tmp_path}/auth.json {hostname}"
    )
    # Until Traefik has read the Secret, clients refuse its own certificate.
    eventually("the admin is let in", lambda: "Login Succeeded!" in consumer.run(login).stdout)
