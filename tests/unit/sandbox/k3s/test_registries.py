"""What the stand-in for k3s makes of registries.yaml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from sandbox.k3s import registries

DOCKER_IO = "http://docker-io.sandbox.test:5000"
MINE = "https://registry.example.com"
REGISTRIES: dict[str, Any] = {
    "mirrors": {"docker.io": {"endpoint": [MINE]}, "example.com": {"endpoint": [MINE]}},
    "configs": {
        "registry.example.com": {
            "auth": {"username": "pull", "password": "Passw0rd"},
            "tls": {"ca_file": "/ca.pem"},
        }
    },
}


def tried(only_mirrors: bool, host: str) -> list[str]:
    """List the URLs that containerd tries for a host, in their order."""
    text = registries.translate(REGISTRIES, DOCKER_IO, only_mirrors=only_mirrors)[host]
    parsed = tomllib.loads(text)
    return list(dict.fromkeys([*parsed["host"], parsed["server"]]))


@pytest.mark.parametrize(
    ("host", "default"), [("docker.io", DOCKER_IO), ("example.com", "https://example.com")]
)
def test_a_mirror_comes_first_and_the_host_itself_last_unless_that_is_forbidden(
    host: str, default: str
) -> None:
    assert tried(only_mirrors=False, host=host) == [MINE, default]
    assert tried(only_mirrors=True, host=host) == [MINE]


def test_the_login_and_the_authority_go_to_the_registry_only() -> None:
    text = registries.translate(REGISTRIES, DOCKER_IO, only_mirrors=False)["example.com"]
    hosts = tomllib.loads(text)["host"]
    assert hosts[MINE]["ca"] == "/ca.pem"
    assert hosts[MINE]["header"] == {"Authorization": ["Basic cHVsbDpQYXNzdzByZA=="]}
    assert hosts["https://example.com"] == {"capabilities": ["pull", "resolve"]}


def test_a_node_without_the_file_pulls_from_docker_io_only(tmp_path: Path) -> None:
    (tmp_path / "hosts" / "stale").mkdir(parents=True)
    registries.apply(tmp_path / "k3s", tmp_path / "hosts", DOCKER_IO)
    assert [path.name for path in (tmp_path / "hosts").iterdir()] == ["docker.io"]


def test_the_flag_is_read_from_the_folder_of_k3s_configuration(tmp_path: Path) -> None:
    flags = tmp_path / "config.yaml.d"
    flags.mkdir()
    (tmp_path / "registries.yaml").write_text("mirrors: {docker.io: {endpoint: [https://a.b]}}")
    (flags / "x.yaml").write_text("disable-default-registry-endpoint: true\n")
    registries.apply(tmp_path, tmp_path / "hosts", DOCKER_IO)
    assert DOCKER_IO not in (tmp_path / "hosts" / "docker.io" / "hosts.toml").read_text()
