"""The texts that let nodes and namespaces pull, against goldens."""

from __future__ import annotations

import json
from collections.abc import Mapping

import yaml

from components.nodes.cloud_init import cloud_init
from components.nodes.registries_yaml import registries_yaml
from components.pull_secrets import docker_config
from scripts.nodes.own_file import update
from settings.cache import CacheSettings
from settings.schema import NodesSettings
from tests.unit.conftest import Golden


def render(caches: Mapping[str, str] | None = None, **settings: object) -> str:
    return registries_yaml(
        NodesSettings.model_validate(settings),
        {name: CacheSettings(upstream=upstream) for name, upstream in (caches or {}).items()},
        hostname="registry.example.com",
        username="pull",
        password="Passw0rd",
        owner="registry-nodes",
    )


WHOLE = render(mirrorPrefix="example.com", overrideDockerIo=True, caFile="/etc/ssl/private-ca.pem")
LEAST = render()


def test_registries_yaml_is_the_golden_one(golden: Golden) -> None:
    golden("registries.yaml", WHOLE)


def test_without_settings_only_the_login_is_in_it() -> None:
    assert yaml.safe_load(LEAST) == {
        "configs": {"registry.example.com": {"auth": {"username": "pull", "password": "Passw0rd"}}}
    }, "docker.io must stay what it is unless it is overridden"


def test_nodes_pull_through_each_cache_by_the_names_of_its_images() -> None:
    content = yaml.safe_load(render({"hub": "docker.io", "mine": "http://mirror.tools.svc:5000"}))
    base = "https://registry.example.com/v2/cache"
    assert content["mirrors"] == {
        "docker.io": {"endpoint": [f"{base}/hub"]},
        "mirror.tools.svc:5000": {"endpoint": [f"{base}/mine"]},
    }
    assert list(content["configs"]) == ["registry.example.com"], (
        "k3s always asks a host with an entry here itself, and needs no login there"
    )


def test_nodes_share_what_is_below_mirrors() -> None:
    """https://docs.k3s.io/installation/registry-mirror"""
    content = yaml.safe_load(render({"hub": "docker.io"}, share=True))
    assert list(content["mirrors"]) == ["docker.io", "registry.example.com"]
    assert not content["mirrors"]["registry.example.com"], "it has no other endpoint than itself"


def test_the_login_is_of_the_host_that_is_connected_to() -> None:
    """containerd looks for it by the endpoint's host: under the mirror's name none would be sent.

    https://github.com/containerd/containerd/blob/main/docs/cri/registry.md
    """
    content = yaml.safe_load(WHOLE)
    assert list(content["configs"]) == ["registry.example.com"]
    assert {x for mirror in content["mirrors"].values() for x in mirror["endpoint"]} == {
        "https://registry.example.com"
    }


def test_the_file_is_the_node_configurators_own() -> None:
    assert update(WHOLE.encode(), None, "registry-nodes") is None, "or it could not replace it"


def test_cloud_init_is_the_golden_one(golden: Golden) -> None:
    golden("cloud-init.yaml", cloud_init(WHOLE, owner="registry-nodes", only_mirrors=True))


def test_cloud_init_carries_the_files_to_the_letter() -> None:
    text = cloud_init(WHOLE, owner="registry-nodes", only_mirrors=True)
    (registries, only) = yaml.safe_load(text)["write_files"]
    assert (registries["path"], registries["content"]) == (
        "/etc/rancher/k3s/registries.yaml",
        WHOLE,
    )
    assert only["path"] == "/etc/rancher/k3s/config.yaml.d/90-registry-nodes.yaml"
    assert yaml.safe_load(only["content"]) == {"disable-default-registry-endpoint": True}
    assert {file["permissions"] for file in (registries, only)} == {"0600"}


def test_without_the_override_k3s_may_still_ask_docker_io() -> None:
    text = cloud_init(LEAST, owner="registry-nodes", only_mirrors=False)
    assert [file["path"] for file in yaml.safe_load(text)["write_files"]] == [
        "/etc/rancher/k3s/registries.yaml"
    ]


def test_the_pull_secrets_login_is_in_the_form_of_docker() -> None:
    text = docker_config(hostname="registry.example.com", username="pull", password="Passw0rd")
    assert json.loads(text)["auths"]["registry.example.com"]["auth"] == "cHVsbDpQYXNzdzByZA=="
