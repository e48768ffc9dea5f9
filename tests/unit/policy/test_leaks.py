"""Secrets are in Secrets only, and no report holds one; each rule with an object that breaks it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from policy.cloud import KEY
from tests.unit.policy.analyzer import UNKNOWN, refused_object, refused_stack, urn

PASSWORD = "hunter2hunter2"
RANDOM = "random:index/randomPassword:RandomPassword"
GENERATED = (urn(RANDOM), RANDOM, {"result": PASSWORD})


def cluster(kind: str, **outputs: Any) -> tuple[str, str, dict[str, Any]]:
    token = f"kubernetes:core/v1:{kind}"
    return urn(token), token, {"kind": kind, **outputs}


def reports(*objects: tuple[str, str, dict[str, Any]]) -> list[str]:
    """Return the names of the policies that refuse a stack with a generated password."""
    refused = refused_stack(GENERATED, *objects)
    assert PASSWORD not in json.dumps(refused), "a policy must never print a value"
    return list(refused)


@pytest.mark.parametrize(
    "name",
    ["password", "admin-password", "htpasswd", "token", "credentials", "secret_key", "accessKey"],
)
@pytest.mark.parametrize("part", ["data", "binaryData"])
def test_what_sounds_like_a_secret_is_refused_in_a_config_map(name: str, part: str) -> None:
    refused = refused_object("ConfigMap", {part: {name: PASSWORD}})
    assert list(refused) == ["secrets-by-name"]
    assert PASSWORD not in json.dumps(refused)


@pytest.mark.parametrize("name", ["tokens.py", "check_storage.py", "config.yml", "secretary"])
def test_other_names_pass(name: str) -> None:
    assert refused_object("ConfigMap", {"data": {name: "text"}}) == {}


def test_a_private_key_is_refused_in_a_config_map() -> None:
    text = "-----BEGIN PRIVATE KEY-----\nMC4=\n"
    assert list(refused_object("ConfigMap", {"data": {"a.pem": text}})) == ["secrets-by-name"]


def test_an_annotation_that_sounds_like_a_secret_is_refused() -> None:
    for kind in ("Secret", "Service"):
        metadata = {"annotations": {"registry/password": PASSWORD}}
        assert list(refused_object(kind, {"metadata": metadata})) == ["secrets-by-name"]


def test_a_secret_in_the_environment_is_refused() -> None:
    def pod(**variable: object) -> list[str]:
        container = {"name": "main", "env": [{"name": "DB_PASSWORD", **variable}]}
        refused = refused_object("Pod", {"spec": {"containers": [container]}})
        return refused.get("secrets-by-name", [])

    assert pod(value=PASSWORD) == [
        "container main: env: expected no secret: mount a Secret as a file"
    ]
    assert pod(value=UNKNOWN)
    assert not pod(valueFrom={"secretKeyRef": {"name": "a"}})


def test_an_unknown_value_hides_no_name_beside_it() -> None:
    data = {"a": UNKNOWN, "password": UNKNOWN}
    assert list(refused_object("ConfigMap", {"data": data})) == ["secrets-by-name"]
    assert refused_object("ConfigMap", {"data": UNKNOWN}) == {}


@pytest.mark.parametrize("text", [PASSWORD, base64.b64encode(PASSWORD.encode()).decode()])
def test_a_generated_secret_is_refused_wherever_it_is(text: str) -> None:
    hidden = {"a": [{"b": f"before {text} after"}]}
    assert reports(cluster("ConfigMap", data={"notes": f"{text}!"})) == ["secrets-by-value"]
    assert reports(cluster("Service", spec=hidden)) == ["secrets-by-value"]
    assert reports(cluster("Secret", metadata=hidden)) == ["secrets-by-value"]
    data = {"a": base64.b64encode(text.encode()).decode()}
    assert reports(cluster("Secret", data=data)) == []


def test_what_holds_no_secret_passes() -> None:
    assert reports(cluster("ConfigMap", data={"notes": "text"}), cluster("Secret", data={})) == []


def test_an_annotation_is_refused_in_a_config_map_too() -> None:
    inputs = {"metadata": {"annotations": {"token": PASSWORD}}, "data": {"notes": "text"}}
    (problem,) = refused_object("ConfigMap", inputs)["secrets-by-name"]
    assert problem.startswith("metadata.annotations: ")


def test_a_secret_that_only_up_knows_is_refused_there() -> None:
    leak = cluster("ConfigMap", data=UNKNOWN)
    unknown = (urn(RANDOM), RANDOM, {"result": UNKNOWN})
    assert refused_stack(unknown, leak) == {}
    assert reports(cluster("ConfigMap", data={"notes": PASSWORD})) == ["secrets-by-value"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("random:index/randomBytes:RandomBytes", "hex"),
        ("random:index/randomBytes:RandomBytes", "base64"),
        (KEY, "secretKey"),
    ],
)
def test_all_that_providers_generate_is_a_secret(kind: str, name: str) -> None:
    leak = cluster("ConfigMap", data={"notes": PASSWORD})
    assert list(refused_stack((urn(kind), kind, {name: PASSWORD}), leak)) == ["secrets-by-value"]


def test_the_bootstrap_key_is_refused_in_the_cluster_even_in_a_secret() -> None:
    bootstrap = (urn(KEY, "bootstrap-key"), KEY, {"secretKey": PASSWORD})
    encoded = base64.b64encode(f"key: {PASSWORD}".encode() + b"\xff").decode()
    for secret in ({"data": {"a": encoded}}, {"stringData": {"a": PASSWORD}}):
        refused = refused_stack(bootstrap, cluster("Secret", **secret))
        assert list(refused) == ["narrow-key-in-the-cluster"]
    other = (urn(KEY, "storage-key"), KEY, {"secretKey": PASSWORD})
    assert refused_stack(other, cluster("Secret", data={"a": encoded})) == {}
