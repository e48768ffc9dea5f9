"""The tests of the OCI distribution specification, through Traefik, TLS and the auth proxy."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import yaml

from sandbox.build import toolchain
from tests.pinned_tools import CONFORMANCE
from tests.sandbox.helpers import Sandbox

RESULTS = Path(__file__).parent / "conformance.yaml"
"""What the tests said last; change it only together with what changes it."""

SETTINGS = {
    "OCI_VERSION": "1.1",
    "OCI_USERNAME": "admin",
    # What distribution does not have: docs/adr/0001-engine.md.
    "OCI_API_REFERRER": "false",
    "OCI_DATA_SHA512": "false",
}

OF_THIS_RUN = ("registry", "username", "password", "resultsDir")


def test_the_registry_conforms_to_the_specification(sandbox: Sandbox, tmp_path: Path) -> None:
    toolchain.build(sandbox.layout.tools, [CONFORMANCE], [])
    client = replace(sandbox)
    client.environment.update(
        SETTINGS,
        OCI_REGISTRY=sandbox.registry,
        OCI_PASSWORD=sandbox.password,
        OCI_RESULTS_DIR=str(tmp_path),
    )
    output = client.run("conformance").stdout
    results = yaml.safe_load((tmp_path / "results.yaml").read_text())
    for key in OF_THIS_RUN:
        del results["config"][key]
    counts = re.findall(r"^  (\w+)\.+: +(\d+)$", output, re.MULTILINE)
    results["counts"] = {name: int(count) for name, count in counts}
    (tmp_path / RESULTS.name).write_text(yaml.safe_dump(results))
    assert results == yaml.safe_load(RESULTS.read_text()), f"if that is meant: {tmp_path}"
