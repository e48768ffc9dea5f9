"""The texts that let nodes and namespaces pull, against goldens."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from components.nodes.cloud_init import cloud_init
from components.nodes.registries_yaml import ONLY_MIRRORS_PATH, PATH, registries_yaml
from components.pull_secrets import docker_config

GOLDEN = Path(__file__).parent / "golden"

WHOLE = registries_yaml(
    hostname="registry.example.com",
    username="pull",
    password="Passw0rd",
    mirror_prefix="example.com",
    override_docker_io=True,
    ca_file="/etc/ssl/private-ca.pem",
)
LEAST = registries_yaml(
    hostname="registry.example.com",
    username="pull",
    password="Passw0rd",
    mirror_prefix=None,
    override_docker_io=False,
    ca_file=None,
)


def test_registries_yaml_is_the_golden_one() -> None:
    assert (GOLDEN / "registries.yaml").read_text() == WHOLE


def test_without_choices_only_the_login_is_in_it() -> None:
    assert yaml.safe_load(LEAST) == {
        "configs": {"registry.example.com": {"auth": {"username": "pull", "password": "Passw0rd"}}}
    }, "docker.io must stay what it is unless it is overridden"


def test_cloud_init_is_the_golden_one() -> None:
    assert cloud_init(WHOLE, only_mirrors=True) == (GOLDEN / "cloud-init.yaml").read_text()


def test_cloud_init_carries_the_files_to_the_letter() -> None:
    files = yaml.safe_load(cloud_init(WHOLE, only_mirrors=True))["write_files"]
    assert {file["path"]: file["content"] for file in files} == {
        PATH: WHOLE,
        ONLY_MIRRORS_PATH: "disable-default-registry-endpoint: true\n",
    }


def test_without_the_override_k3s_may_still_ask_docker_io() -> None:
    assert ONLY_MIRRORS_PATH not in cloud_init(LEAST, only_mirrors=False)


def test_the_pull_secrets_login_is_the_golden_one() -> None:
    text = docker_config(hostname="registry.example.com", username="pull", password="Passw0rd")
    assert text == (GOLDEN / "dockerconfig.json").read_text().rstrip("\n")
    assert json.loads(text)["auths"]["registry.example.com"]["auth"] == "cHVsbDpQYXNzdzByZA=="
