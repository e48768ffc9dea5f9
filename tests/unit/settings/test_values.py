"""What each key takes, and what is printed for what it does not take."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from settings import Settings
from tests.unit.conftest import Golden
from tests.unit.settings.helpers import GOOD, S3, listed, loaded, nested, problems

DIGEST = "@sha256:" + "0123456789abcdef" * 4
LABEL = "63 lowercase letters, digits and hyphens"
REGISTRY = "docker.io/library/registry"

# Path, value, what is expected, and the right value; None where nobody can know it.
REFUSED: list[tuple[str, Any, str, str | None]] = [
    ("hostname", "https://a.example.com", "no scheme, port or path", "a.example.com"),
    ("hostname", "https://u@A.example.com:5000/v2/?x#y", "no scheme", "a.example.com"),
    ("hostname", "a.example.com/x", "no scheme", "a.example.com"),
    ("hostname", "a.example.com:5000", "no scheme", "a.example.com"),
    ("hostname", "a.example.com.", "no scheme", "a.example.com"),
    ("hostname", " A.Example.com\n", "lowercase letters", "a.example.com"),
    ("hostname", '"a.example.com"', "a hostname", "a.example.com"),
    ("hostname", "localhost", "a hostname", None),
    ("hostname", "*.example.com", "a hostname", None),
    ("hostname", "10.0.0.1", "a hostname", None),
    ("hostname", "a_b.example.com", "a hostname", None),
    ("hostname", "-a.example.com", "a hostname", None),
    ("hostname", "a..example.com", "a hostname", None),
    ("hostname", "a" * 64 + ".example.com", "a hostname", None),
    ("hostname", ".".join(["a" * 63] * 4), "a hostname", None),
    ("namespace", "My_Space", "57 lowercase letters", "my-space"),
    ("namespace", "a" * 58, "57 lowercase letters", "a" * 57),
    ("namespace", "a" * 56 + "-b", "57 lowercase letters", "a" * 56),
    ("namespace", "default", "not default", None),
    ("namespace", "kube-images", "not kube-", None),
    ("namespace", "-", "lowercase letters", None),
    ("adminUser", "a:b", "64 letters, digits, dots, hyphens and underscores", "a-b"),
    ("adminUser", "-a", "64 letters", "a"),
    ("adminUser", " X.Y:X ", "64 letters", "X.Y-X"),
    ("adminUser", "é", "64 letters", None),
    ("pullUser", "a" * 65, "64 letters", None),
    ("storage.region", "mars", "one of ams3, atl1, blr1", None),
    ("storage.region", "FRA1", "one of ams3", "fra1"),
    ("storage.region", "fra", "one of ams3", "fra1"),
    ("storage.namePrefix", "Up_1", "54 lowercase letters", "up-1"),
    ("storage.namePrefix", "a" * 55, "54 lowercase letters", None),
    ("storage.namePrefix", "xn--a", "54 lowercase letters", "xn-a"),
    ("storage.namePrefix", "-a", "54 lowercase letters", "a"),
    ("storage.onDestroy", "deleted", "one of protect, retain, delete", "delete"),
    ("storage.onDestroy", "keep", "one of protect, retain, delete", None),
    ("storage.kind", "S3", "one of spaces, s3", "s3"),
    ("storage.kind", 3, "one of spaces, s3", "s3"),
    ("storage.kind", "nfs", "one of spaces, s3", None),
    ("tls.mode", "certmanager", "one of secret, letsEncrypt, acme", "certManager"),
    ("tls.mode", "magic", "one of secret, letsEncrypt, acme, certManager, none", None),
    ("registry.image", "registry:3.1.1", "3.1.2 or newer", "registry:3.1.2"),
    ("registry.image", "registry:3.0.9", "3.1.2 or newer", "registry:3.1.2"),
    ("registry.image", "registry:2.9.9", "3.1.2 or newer", "registry:3.1.2"),
    ("registry.image", "registry:3", "a whole version", "registry:3.1.2"),
    ("registry.image", "registry:3.12", "a whole version", "registry:3.1.2"),
    ("registry.image", "registry:latest", "a whole version", "registry:3.1.2"),
    ("registry.image", "registry", "a whole version", "registry:3.1.2"),
    ("registry.image", f"{REGISTRY}:2{DIGEST}", "a whole version", f"{REGISTRY}:3.1.2"),
    ("registry.image", f"{REGISTRY}{DIGEST}", "a whole version", f"{REGISTRY}:3.1.2"),
    ("registry.image", "a:5000/b", "a whole version", "a:5000/b:3.1.2"),
    ("registry.image", "docker://Registry:3.1.2", "a whole version", "registry:3.1.2"),
    ("registry.image", "a b", "a whole version", None),
    ("registry.proxyImage", "caddy:2.10.2", "a whole version of 2.11.0 or newer", "caddy:2.11.9"),
    ("registry.proxyImage", "caddy:2.11", "a whole version", "caddy:2.11.9"),
    ("registry.proxyImage", f"a.b/caddy{DIGEST}", "a whole version", "a.b/caddy:2.11.9"),
    ("scan.image", "trivy:0.69.4", "0.69.4 to 0.69.6 were attackers'", "trivy:0.76.2"),
    ("scan.image", "ghcr.io/a/trivy:latest", "a whole version", "ghcr.io/a/trivy:0.76.2"),
    ("scan.database", "trivy-db:2", "host/name:tag", None),
    ("scan.database", "ghcr.io/aquasecurity/trivy-db", "host/name:tag", None),
    ("scan.database", "https://ghcr.io/a/trivy-db:2", "host/name:tag", "ghcr.io/a/trivy-db:2"),
    ("registry.replicas", 0, "greater than or equal to 1", "1"),
    ("registry.replicas", 21, "less than or equal to 20", "20"),
    ("registry.replicas", "two", "a whole number", None),
    ("registry.replicas", 1.5, "a whole number", None),
    ("registry.replicas", True, "a whole number", None),
    ("registry.replicas", [1], "a whole number", None),
    ("registry.parallelUploads", 1001, "less than or equal to 1000", "1000"),
    ("registry.parallelUploads", -1, "greater than or equal to 1", "1"),
    ("registry.resources.memory", "100MB", "binary units", "100Mi"),
    ("registry.resources.memory", "10 g", "binary units", "10Gi"),
    ("registry.resources.memory", "512M", "binary units", "512Mi"),
    ("registry.resources.memory", "1.5Gi", "binary units", None),
    ("registry.resources.memory", 512, "binary units", None),
    ("registry.resources.memory", "0Mi", "binary units", None),
    ("registry.resources.cpu", "50Mi", "thousandths of a core", None),
    ("registry.resources.cpu", "0.5", "thousandths of a core", "500m"),
    ("registry.resources.cpu", 0.5, "thousandths of a core", "500m"),
    ("registry.resources.cpu", ".25", "thousandths of a core", "250m"),
    ("registry.resources.cpu", "2.5", "thousandths of a core", "2500m"),
    ("registry.resources.cpu", "50 M", "thousandths of a core", "50m"),
    ("registry.resources.cpu", "0", "thousandths of a core", None),
    ("registry.resources.cpu", "1000000", "thousandths of a core", None),
    ("ingress.className", "Traefik!", "name of a Kubernetes object", "traefik"),
    ("ingress.controllerNamespace", "Kube_System", LABEL, "kube-system"),
    ("ingress.controllerNamespace", "a" * 64, LABEL, None),
    ("tls.secretName", "a..b", "name of a Kubernetes object", "a-b"),
    ("tls.secretName", "a" * 64, "name of a Kubernetes object", None),
    ("dns.zone", "Example.com.", "a hostname", "example.com"),
    ("maintenance.schedule", "hourly", "minute, hour, day of month", "@hourly"),
    ("nodes.mirrorPrefix", "https://a.b/", "no scheme", "a.b"),
    ("nodes.caFile", "ca.pem", "an absolute path", None),
    ("nodes.caFile", "/a//b/./c/", "an absolute path", "/a/b/c"),
    ("nodes.caFile", "/a/../b", "an absolute path", None),
    ("nodes.caFile", "/", "an absolute path", None),
    ("nodes.caFile", '/a "b"', "an absolute path", None),
    ("nodes.configure", "maybe", "true or false", None),
    ("nodes.configure", 2, "true or false", None),
    ("scripts.image", "python:3.8-alpine", "Python 3.9 or newer", None),
    ("scripts.image", "docker.io/library/python:2", "Python 3.9 or newer", None),
    ("scripts.image", "python", "name:tag, with a tag that stays", None),
    ("scripts.image", "python:latest", "name:tag, with a tag that stays", None),
    (
        "scripts.image",
        "Docker.io/Library/Python:3.13-Alpine",
        "name:tag",
        "docker.io/library/python:3.13-Alpine",
    ),
    ("scripts.image", "https://a.b/python:3", "name:tag", "a.b/python:3"),
    ("scripts.image", "python:3@sha256:00", "name:tag", None),
    ("scripts.image", "a//b:3", "name:tag", None),
    ("scripts.image", "-a.b/python:3", "name:tag", None),
    ("scripts.image", "a-:5000/python:3", "name:tag", None),
    ("scripts.image", "python:" + "a" * 129, "name:tag", None),
    ("scripts.image", "a" * 256 + ":1", "name:tag", None),
    ("scripts.image", "python:3 ", "name:tag", "python:3"),
    ("scripts.image", "python:-3", "name:tag", None),
]


@pytest.mark.parametrize(("path", "value", "expected", "right"), REFUSED)
def test_a_bad_value_is_refused_with_what_is_expected_and_the_right_value_if_it_is_known(
    path: str, value: Any, expected: str, right: str | None
) -> None:
    (problem,) = problems({**GOOD, **nested(path, value)})
    assert problem.key == path
    assert problem.expected.startswith("expected ")
    assert expected in problem.expected
    flags = "--path " if "." in path else ""
    assert problem.fix == f"pulumi config set {flags}{path} {right or ''}".rstrip()


def test_every_message_is_as_its_golden_says(golden: Golden) -> None:
    golden("values.txt", listed(GOOD | nested(path, value) for path, value, _, _ in REFUSED))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("hostname", "a.b"),
        ("hostname", "1.2-3.example.com"),
        ("hostname", ".".join(["a" * 63] * 3 + ["a" * 61])),
        ("namespace", "a" * 57),
        ("namespace", "1"),
        ("namespace", "my-default"),
        ("namespace", "kubeflow"),
        ("adminUser", "A.b_c-1"),
        ("adminUser", "a" * 64),
        ("storage.namePrefix", "a"),
        ("storage.namePrefix", "a" * 54),
        ("storage.onDestroy", "retain"),
        ("registry.image", "registry:3.1.2"),
        ("registry.image", "a.b:5000/c/registry:v4.0.0"),
        ("registry.image", "registry:3.10.0-alpine"),
        ("registry.image", f"registry:3.1.2{DIGEST}"),
        ("registry.proxyImage", "a.b/caddy:2.11.0-alpine"),
        ("registry.replicas", 20),
        ("registry.parallelUploads", 1000),
        ("registry.resources.memory", "528Mi"),
        ("registry.resources.memory", "475136Ki"),
        ("registry.resources.cpu", "2"),
        ("ingress.className", "nginx.internal"),
        ("tls.secretName", ".".join(["a" * 63] * 3)),
        ("dns.zone", "example.com"),
        ("dns.zone", GOOD["hostname"]),
        ("dns.addresses", ["203.0.113.10", "2001:db8::10"]),
        ("nodes.mirrorPrefix", "example.com"),
        ("nodes.caFile", "/etc/ssl/private..ca.pem"),
        ("scripts.image", "localhost:5000/python:3"),
        ("scripts.image", f"python{DIGEST}"),
        ("scripts.image", "python:3.9"),
        ("scripts.image", "python:slim"),
        ("scripts.image", "a.b/tools:1.0"),
        ("scripts.image", "a.B-c.d/e__f/g-----h/i.j:" + "T" * 128),
        ("scripts.image", "a" * 255 + ":1"),
    ],
)
def test_a_good_value_is_taken_as_it_is(path: str, value: Any) -> None:
    settings, _ = loaded({**GOOD, **nested(path, value)})
    assert read(settings.model_dump(by_alias=True), path) == value


@pytest.mark.parametrize(
    ("path", "value", "meant"),
    [
        ("registry.replicas", "2", 2),
        ("registry.resources.cpu", 1, "1"),
        ("storage.namePrefix", 2024, "2024"),
        ("storage.namePrefix", True, "true"),
        ("tls.secretName", 1, "1"),
        ("nodes.configure", "true", True),
        ("nodes.configure", "True", True),
        ("nodes.configure", "yes", True),
        ("nodes.configure", "on", True),
        ("nodes.configure", 1, True),
        ("nodes.overrideDockerIo", "false", False),
        ("nodes.overrideDockerIo", "No", False),
        ("nodes.overrideDockerIo", "off", False),
        ("nodes.overrideDockerIo", "0", False),
        ("pullSecrets.namespaces", ["a", 1], ["a", "1"]),
    ],
)
def test_numbers_and_booleans_are_taken_for_text_and_text_for_them_where_that_is_clear(
    path: str, value: Any, meant: Any
) -> None:
    settings, _ = loaded({**GOOD, **nested(path, value)})
    assert read(settings.model_dump(by_alias=True), path) == meant


def test_a_number_that_lost_digits_is_refused_where_text_is_expected() -> None:
    (problem,) = problems({**GOOD, "storage": {**S3, "bucket": 1.2345678901234567e19}})
    assert problem.expected == "expected text: a number such as this one loses digits"
    assert problem.fix == "pulumi config set --path --type string storage.bucket"


@pytest.mark.parametrize("value", [{"a": 1}, ["a"]])
def test_an_object_or_a_list_is_no_text(value: Any) -> None:
    (problem,) = problems({**GOOD, "storage": {"namePrefix": value}})
    assert problem.expected == "expected text"


@pytest.mark.parametrize("empty", [None, "", {}])
@pytest.mark.parametrize("section", ["storage", "registry", "tls", "users", "nodes"])
def test_an_empty_section_has_its_defaults(section: str, empty: Any) -> None:
    assert loaded({**GOOD, section: empty})[0] == loaded(GOOD)[0]


@pytest.mark.parametrize("value", [["a"], 1, "a", False])
def test_a_section_takes_nothing_else_for_empty(value: Any) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(GOOD | {"registry": value})


def test_an_empty_key_has_its_default() -> None:
    values = {"storage": {"kind": None, "region": None}, "registry": {"resources": None}}
    assert loaded({**GOOD, **values})[0] == loaded(GOOD)[0]


def read(values: Any, path: str) -> Any:
    for part in path.split("."):
        values = values[part]
    return values
