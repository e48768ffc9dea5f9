"""checkov finds nothing in the objects of the program but what is accepted."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.gate.workflows import ROOT
from tests.unit.program.conftest import CONFIG, Run
from tests.unit.program.modes import MODES

ACCEPTED = {
    "CKV_K8S_11": "no CPU limits: they would slow down uploads while the node has CPUs to spare",
    "CKV_K8S_15": "no imagePullPolicy Always: tags are exact versions, and a registry must start "
    "while docker.io is down",
    "CKV_K8S_43": "tags without digests: settings take name:tag@digest, for who wants one",
    "CKV_K8S_25": "the auth proxy's binary has NET_BIND_SERVICE, and does not start without it",
}
"""The findings that are accepted, each with the reason."""

ACCEPTED_ON_NODES = {
    "CKV_K8S_8": "no liveness probe: the container that lasts only sleeps",
    "CKV_K8S_9": "no readiness probe: likewise",
    "CKV_K8S_42": "the default service account of a namespace that has no other pods",
}
"""Those of the node configurator besides: it writes files of root's (docs/nodes.md)."""


def findings(folder: Path, objects: list[dict[str, Any]]) -> set[str]:
    """Return the IDs of what checkov finds in objects."""
    (folder / "objects.yaml").write_text(yaml.safe_dump_all(objects))
    result = subprocess.run(
        [
            ROOT / ".sandbox/scanners/bin/checkov",
            *("--file", folder / "objects.yaml", "--framework", "kubernetes"),
            *("--output", "json", "--skip-download", "--quiet", "--compact"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(result.stdout)
    assert report["summary"]["passed"] > 100, "it did not see the objects"
    return {check["check_id"] for check in report["results"]["failed_checks"]}


def objects(run: Run, **settings: Any) -> list[dict[str, Any]]:
    resources = run({**CONFIG, **settings}).resources.values()
    return [x.inputs for x in resources if x.type.startswith("kubernetes:")]


def test_it_finds_nothing_but_what_is_accepted(run: Run, tmp_path: Path) -> None:
    assert findings(tmp_path, objects(run)) == set(ACCEPTED)


def test_the_node_configurator_is_root_on_nodes_and_nothing_else(run: Run, tmp_path: Path) -> None:
    failed = findings(tmp_path, objects(run, **MODES["nodes"]))
    assert failed - set(ACCEPTED) == set(ACCEPTED_ON_NODES)
