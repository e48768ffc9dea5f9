"""What settings take, and what they say to what they do not take."""

from __future__ import annotations

import json
from typing import Any

import pydantic
import pytest

from settings import Settings, load
from settings.credentials import Access
from settings.problems import Problem, SettingsError
from tests.unit.program.conftest import PROJECT

GOOD = {"hostname": "registry.example.com"}
TOKEN = {"DIGITALOCEAN_TOKEN": "token"}
S3 = {"kind": "s3", "bucket": "images", "accessKey": "a", "secretKey": "hunter2"}


def loaded(
    values: dict[str, Any], environment: dict[str, str] | None = None, secret: str = ""
) -> tuple[Settings, Access]:
    config = {
        key if ":" in key else f"{PROJECT}:{key}": value
        if isinstance(value, str)
        else json.dumps(value)
        for key, value in values.items()
    }
    hidden = frozenset([f"{PROJECT}:{secret}"])
    return load(config, hidden, TOKEN if environment is None else environment, PROJECT)


def problems(values: dict[str, Any], environment: dict[str, str] | None = None) -> list[Problem]:
    with pytest.raises(SettingsError) as refused:
        loaded(values, environment)
    return refused.value.problems


def test_the_hostname_is_the_only_required_key() -> None:
    settings, _ = loaded(GOOD)
    assert settings.registry.replicas == 1
    assert [problem.key for problem in problems({})] == ["hostname"]


def test_the_empty_default_of_the_project_file_counts_as_not_set() -> None:
    (problem,) = problems({"hostname": ""})
    assert problem.value == "(not set)"
    assert problem.fix == "pulumi config set hostname registry.example.com"


@pytest.mark.parametrize(
    ("path", "value", "expected", "fix"),
    [
        ("hostname", "https://a.example.com", "no scheme", "hostname registry.example.com"),
        ("hostname", "a.example.com/x", "no scheme, port or path", "hostname registry.example.com"),
        ("hostname", "a.example.com:5000", "no scheme", "hostname registry.example.com"),
        ("hostname", "localhost", "a host name", "hostname registry.example.com"),
        ("hostname", "A.example.com", "small letters", "hostname registry.example.com"),
        ("namespace", "My_Space", "63 small letters", "namespace registry"),
        ("adminUser", "a:b", "letters, digits", "adminUser admin"),
        ("storage.region", "mars", "one of 'ams3'", "--path storage.region nyc3"),
        ("storage.namePrefix", "Up", "small letters", "--path storage.namePrefix registry"),
        ("nodes.configure", "yes", "a valid boolean", "--path nodes.configure false"),
        ("registry.image", "registry:3.1.1", "3.1.2 or newer", "registry:3.1.2"),
        ("registry.image", "registry:2.8.3", "3.1.2 or newer", "registry:3.1.2"),
        ("registry.image", "registry:3", "a whole version", "registry:3.1.2"),
        ("registry.image", "registry", "a whole version", "registry:3.1.2"),
        ("registry.replicas", 0, "greater than or equal to 1", "--path registry.replicas 1"),
        ("registry.replicas", "2", "a valid integer", "--path registry.replicas 1"),
        ("registry.parallelUploads", 1.5, "integer", "--path registry.parallelUploads 16"),
        ("registry.resources.memory", "10G", "10Gi", "--path registry.resources.memory 128Mi"),
        ("registry.resources.cpu", "50Mi", "thousandths", "--path registry.resources.cpu 50m"),
        ("ingress.className", "Traefik!", "small letters", "--path ingress.className traefik"),
        ("storage.kind", "nfs", "'spaces', 's3'", "--path storage.kind spaces"),
        ("ingress.uploadTimeout", 30, "greater than 60", "--path ingress.uploadTimeout 600"),
        ("tls.mode", "magic", "'secret', 'acme', 'certManager', 'none'", "--path tls.mode secret"),
        ("tls.clientCa", "no PEM", "certificates in PEM", "--path tls.clientCa < ca.pem"),
        ("nodes.mirrorPrefix", "https://a.b", "no scheme", "--path nodes.mirrorPrefix example.com"),
        ("nodes.caFile", "ca.pem", "an absolute path", "--path nodes.caFile /etc/ssl/"),
        ("nodes.configure", 1, "a valid boolean", "--path nodes.configure false"),
        ("pullUser", "admin", "another name than adminUser's", "pullUser pull"),
        ("scripts.image", "python", "name:tag", "--path scripts.image docker.io/library/python:"),
    ],
)
def test_a_bad_value_is_named_with_what_is_expected_and_the_command_that_mends_it(
    path: str, value: Any, expected: str, fix: str
) -> None:
    top, *rest = path.split(".")
    nested = value
    for part in reversed(rest):
        nested = {part: nested}
    (problem,) = problems({**GOOD, top: nested})
    assert problem.key == path
    assert problem.value == json.dumps(value)
    assert expected in problem.expected
    assert fix in problem.fix
    assert problem.fix.startswith("pulumi config set ")


def test_a_section_that_is_no_object_is_told_its_keys() -> None:
    (problem,) = problems({**GOOD, "storage": "nyc3"})
    assert problem.key == "storage"
    assert "region, namePrefix, onDestroy" in problem.expected
    assert problem.fix == "pulumi config set --path storage.kind spaces"


def test_a_bad_element_of_a_list_is_told_with_the_lists_key() -> None:
    (problem,) = problems({**GOOD, "pullSecrets": {"namespaces": ["default", "No"]}})
    assert (problem.key, problem.value) == ("pullSecrets.namespaces", '"No"')


def test_a_list_is_mended_by_its_elements_as_pulumi_sets_no_list_at_once() -> None:
    (problem,) = problems({**GOOD, "pullSecrets": {"namespaces": '["default"]'}})
    assert problem.fix == (
        "pulumi config rm --path pullSecrets.namespaces && "
        "pulumi config set --path 'pullSecrets.namespaces[0]' default"
    )


def test_an_existing_bucket_needs_endpoint_name_and_key_but_no_token() -> None:
    found = problems({**GOOD, "storage": {"kind": "s3"}}, {})
    assert [problem.key for problem in found] == [
        "storage.bucket",
        "storage.endpoint",
        "storage.accessKey",
        "storage.secretKey",
    ]
    assert found[-1].fix == "pulumi config set --path --secret storage.secretKey"


def test_an_s3_endpoint_with_a_path_or_bucket_in_it_is_refused() -> None:
    (problem,) = problems({**GOOD, "storage": {**S3, "endpoint": "https://a.b/images"}}, {})
    assert problem.expected.startswith("expected a URL without bucket and path")


@pytest.mark.parametrize(
    ("endpoint", "right"),
    [
        ("https://images.nyc3.digitaloceanspaces.com", "https://nyc3.digitaloceanspaces.com"),
        ("http://images.minio:9000", "http://minio:9000"),
        ("http://s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com"),
    ],
)
def test_an_s3_endpoint_that_is_nearly_right_is_told_the_right_one(
    endpoint: str, right: str
) -> None:
    (problem,) = problems({**GOOD, "storage": {**S3, "endpoint": endpoint}}, {})
    assert problem.key == "storage.endpoint"
    assert problem.fix == f"pulumi config set --path storage.endpoint {right}"


def test_a_storage_secret_is_shown_by_no_error_even_if_it_was_set_in_clear() -> None:
    s3 = {"kind": "s3", "endpoint": "nonsense", "bucket": "B", "accessKey": "a"}
    with pytest.raises(SettingsError) as refused:
        loaded({**GOOD, "storage": {**s3, "secretKey": {"x": "hunter2"}}}, {})
    assert "hunter2" not in str(refused.value)


def test_a_key_of_another_tls_mode_is_unknown_to_this_one() -> None:
    (problem,) = problems({**GOOD, "tls": {"mode": "acme", "secretName": "x"}})
    assert problem.key == "tls.secretName"
    assert "clientCa, mode, resolver" in problem.expected


def test_an_unknown_key_is_told_the_nearest_known_one() -> None:
    first, second = problems({**GOOD, "hostnme": "x.y", "storage": {"regoin": "fra1"}})
    assert (first.key, second.key) == ("storage.regoin", "hostnme")
    assert "storage.region" in first.expected
    assert first.fix == (
        "pulumi config rm --path storage.regoin && pulumi config set --path storage.region fra1"
    )
    assert "hostname" in second.expected


def test_an_unknown_key_that_resembles_none_is_told_all_known_ones() -> None:
    (problem,) = problems({**GOOD, "zzz": "1"})
    assert "hostname, namespace, adminUser, pullUser" in problem.expected
    assert problem.fix == "pulumi config rm zzz"


def test_all_problems_are_told_at_once() -> None:
    found = problems({"hostname": "", "namespace": "X", "tls": {"secretName": "Y", "z": 1}}, {})
    assert [problem.key for problem in found] == [
        "hostname",
        "namespace",
        "tls.secretName",
        "tls.z",
        "digitalocean:token",
    ]


def test_the_message_has_every_problem_with_key_value_expectation_and_fix() -> None:
    with pytest.raises(SettingsError) as refused:
        loaded({"hostname": "http://a.b", "namespace": "X"})
    assert str(refused.value) == (
        "2 problems in the configuration of this stack; nothing was changed.\n"
        "\n"
        '  hostname = "http://a.b"\n'
        "      expected a host name in small letters, such as registry.example.com: "
        "no scheme, port or path\n"
        "      fix: pulumi config set hostname registry.example.com\n"
        '  namespace = "X"\n'
        "      expected at most 63 small letters, digits and hyphens, such as registry\n"
        "      fix: pulumi config set namespace registry"
    )


def test_a_secret_value_is_not_shown_in_an_error() -> None:
    with pytest.raises(SettingsError) as refused:
        loaded({**GOOD, "storage": {"region": "hunter2", "regoin": "hunter2"}}, secret="storage")
    assert "hunter2" not in str(refused.value), "an error ends up in logs"


@pytest.mark.parametrize(
    "image", ["registry:3.1.2", "a.b:5000/c/registry:v4.0.0", "registry:3.10.0"]
)
def test_a_recent_image_is_taken_with_any_name(image: str) -> None:
    assert loaded({**GOOD, "registry": {"image": image}})[0].registry.image == image


def test_an_image_may_be_pinned_by_digest_too() -> None:
    image = "registry:3.1.2@sha256:" + "0" * 64
    assert loaded({**GOOD, "registry": {"image": image}})[0].registry.image == image


def test_settings_cannot_be_changed_after_they_were_checked() -> None:
    settings, _ = loaded(GOOD)
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        settings.hostname = "x"
