"""The pack as the engine starts it, and what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from policy.cloud import BUCKET, KEY, OPENINGS
from policy.policies import POLICIES
from tests.unit.conftest import Golden
from tests.unit.policy.analyzer import refused, refused_object, refused_stack, urn

ROOT = Path(__file__).parents[3]

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


def test_the_engine_starts_it_from_anywhere(tmp_path: Path, golden: Golden) -> None:
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(ROOT / "policy")]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as pack:
        assert pack.stdout
        port = pack.stdout.readline().strip()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = analyzer_pb2_grpc.AnalyzerStub(channel)
            info = stub.GetAnalyzerInfo(empty_pb2.Empty())
        pack.kill()
    level = analyzer_pb2.EnforcementLevel.Name
    lines = [f"{x.name} ({level(x.enforcementLevel)}): {x.description}" for x in info.policies]
    golden("pack.txt", "\n".join([info.name, *lines, ""]))


def test_the_pack_has_these_policies() -> None:
    _, *lines = (Path(__file__).parent / "golden" / "pack.txt").read_text().splitlines()
    assert [re.sub(r" \(.*?\)", "", line, count=1) for line in lines] == [
        f"{policy.name}: {policy.description}" for policy in POLICIES
    ]


BREACHES: list[tuple[str, dict[str, Any]]] = [
    ("Pod", {"spec": {"hostNetwork": True, "containers": [{"ports": [{"hostPort": 80}]}]}}),
    ("Pod", {"spec": {"volumes": [{"nfs": {}}], "securityContext": {"sysctls": []}}}),
    (
        "Pod",
        {
            "spec": {
                "volumes": [{"name": "a", "projected": {"sources": [{"serviceAccountToken": {}}]}}],
                "containers": [{"name": "main", "volumeMounts": [{"name": "a"}]}],
            }
        },
    ),
    ("Namespace", {}),
    ("Ingress", {"spec": {}}),
    ("IngressRouteTCP", {"spec": {}}),
    ("Ingress", {"metadata": {"annotations": {"a/ssl-redirect": "false"}}, "spec": {}}),
    ("Service", {"spec": {"type": "NodePort", "externalIPs": ["203.0.113.1"]}}),
    ("Role", {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}),
    ("RoleBinding", {"roleRef": {"kind": "ClusterRole"}}),
    ("Secret", {"type": "kubernetes.io/service-account-token"}),
    ("NetworkPolicy", {"spec": {"egress": [{}, {"to": [{"ipBlock": {"cidr": "::/0"}}]}]}}),
    ("ConfigMap", {"data": {"token": "a", "b": "PRIVATE KEY-----\n"}}),
]


def test_each_report_says_what_is_expected(golden: Golden) -> None:
    reports = [refused_object(kind, inputs) for kind, inputs in BREACHES]
    reports += [refused(kind, {}) for kind in (BUCKET, KEY, OPENINGS[0])]
    reports += [
        refused(BUCKET, {"acl": "private", "forceDestroy": True}),
        refused(BUCKET, {"acl": "private", "lifecycleRules": [{"expiration": {"days": 1}}]}),
        refused(KEY, {"grants": [{}]}),
        refused("kubernetes:helm.sh/v3:Release", {}),
        refused_stack(
            (urn(KEY, "bootstrap-key"), KEY, {"secretKey": "hunter2hunter2"}),
            (urn(CONFIG_MAP), CONFIG_MAP, {"data": {"a": "hunter2hunter2"}}),
        ),
    ]
    lines = [f"{policy}: {x}" for item in reports for policy, texts in item.items() for x in texts]
    golden("reports.txt", "\n".join([*lines, ""]))
