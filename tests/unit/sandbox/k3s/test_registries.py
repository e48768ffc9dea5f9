"""What the stand-in for k3s makes of registries.yaml: the same as k3s.

The cases are those of k3s' own tests, in their order but for its embedded registry:
https://github.com/k3s-io/k3s/blob/master/pkg/agent/containerd/config_test.go
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.k3s import registries
from sandbox.k3s.registries import Endpoint, Host, hosts_toml, logins, translate

HUB = "https://registry-1.docker.io/v2"
COM = "https://registry.example.com"
ORG = "https://registry.example.org"
LOGIN = {"auth": {"username": "user", "password": "pass"}}
LAX = {"tls": {"insecure_skip_verify": True}}


def mirror(host: str, *endpoints: str, **configs: Any) -> dict[str, Any]:
    entry: Any = {"endpoint": list(endpoints)} if endpoints else None
    return {"mirrors": {host: entry}, **({"configs": configs} if configs else {})}


def hub(*endpoints: Endpoint) -> dict[str, Host]:
    return {"docker.io": Host(Endpoint(HUB), endpoints)}


WITH_LOGIN = {"docker.io": Host(Endpoint(HUB, config=LOGIN))}
COM_LOGIN = {"registry.example.com": LOGIN}
COM_HOST = {"registry.example.com": Host(Endpoint(f"{COM}/v2", config=LOGIN))}


def own_path(url: str) -> tuple[dict[str, Any], dict[str, Host]]:
    """A mirror of docker.io and of itself, with a path of its own and a login."""
    endpoint = Endpoint(url, override_path=True, config=LOGIN)
    name = "registry.example.com"
    entry = {"endpoint": [url]}
    return (
        {"mirrors": {"docker.io": entry, name: entry}, "configs": COM_LOGIN},
        {**hub(endpoint), name: Host(Endpoint(f"{COM}/v2", config=LOGIN), (endpoint,))},
    )


CASES: dict[str, tuple[dict[str, Any], dict[str, Host]]] = {
    "nothing": ({}, {}),
    "a mirror of nothing": (mirror("docker.io"), {}),
    "itself": (mirror("docker.io", "docker.io"), {}),
    "a login": (mirror("docker.io", **{"docker.io": LOGIN}), WITH_LOGIN),
    "itself, a login": (mirror("docker.io", "docker.io", **{"docker.io": LOGIN}), WITH_LOGIN),
    "only a login": ({"configs": {"docker.io": LOGIN}}, WITH_LOGIN),
    "another host": (mirror("registry.example.com"), {}),
    "another host's login": (mirror("registry.example.com", **COM_LOGIN), COM_HOST),
    "only another host's login": ({"configs": COM_LOGIN}, COM_HOST),
    "a path of its own": (
        mirror("docker.io", f"{COM}/prefix/v2"),
        hub(Endpoint(f"{COM}/prefix/v2", override_path=True)),
    ),
    "a path of its own, no scheme": (
        mirror("docker.io", "registry.example.com/prefix/v2"),
        hub(Endpoint(f"{COM}/prefix/v2", override_path=True)),
    ),
    "the API's path, no scheme": (
        mirror("docker.io", "registry.example.com/v2"),
        hub(Endpoint(f"{COM}/v2")),
    ),
    "the API's path": (mirror("docker.io", f"{COM}/v2"), hub(Endpoint(f"{COM}/v2"))),
    "no path": (mirror("docker.io", COM), hub(Endpoint(f"{COM}/v2"))),
    "a name": (mirror("docker.io", "registry.example.com"), hub(Endpoint(f"{COM}/v2"))),
    "a port": (mirror("docker.io", "registry.example.com:443"), hub(Endpoint(f"{COM}:443/v2"))),
    "an address": (mirror("docker.io", "1.2.3.4"), hub(Endpoint("https://1.2.3.4/v2"))),
    "its port": (mirror("docker.io", "1.2.3.4:443"), hub(Endpoint("https://1.2.3.4:443/v2"))),
    "twice": (
        mirror("docker.io", "registry.example.com", "registry.example.com"),
        hub(Endpoint(f"{COM}/v2")),
    ),
    "twice, otherwise": (
        mirror("docker.io", "registry.example.com", COM, f"{COM}/v2"),
        hub(Endpoint(f"{COM}/v2")),
    ),
    "twice, later": (
        mirror("docker.io", COM, ORG, COM),
        hub(Endpoint(f"{COM}/v2"), Endpoint(f"{ORG}/v2")),
    ),
    "this machine": (
        mirror("docker.io", "localhost:5000"),
        hub(Endpoint("http://localhost:5000/v2")),
    ),
    "this machine, a scheme": (
        mirror("docker.io", "https://localhost:5000"),
        hub(Endpoint("https://localhost:5000/v2")),
    ),
    "this machine's address": (
        mirror("docker.io", "127.0.0.1:5000"),
        hub(Endpoint("http://127.0.0.1:5000/v2")),
    ),
    "this machine's address, a scheme": (
        mirror("docker.io", "https://127.0.0.1:5000"),
        hub(Endpoint("https://127.0.0.1:5000/v2")),
    ),
    "the mirror's login": (
        mirror("docker.io", f"{COM}/v2", **COM_LOGIN),
        {**hub(Endpoint(f"{COM}/v2", config=LOGIN)), **COM_HOST},
    ),
    "a login and a path of its own": own_path(f"{COM}/prefix/v2"),
    "a login and another path": own_path(f"{COM}/project/registry"),
    "itself at last": (
        mirror("docker.io", "registry.example.com", "registry.example.org", "docker.io"),
        hub(Endpoint(f"{COM}/v2"), Endpoint(f"{ORG}/v2")),
    ),
    "all hosts, a mirror of nothing": (mirror("*"), {}),
    "all hosts": (
        mirror("*", f"{COM}/v2"),
        {"_default": Host(Endpoint(""), (Endpoint(f"{COM}/v2"),))},
    ),
    "all hosts' logins": (
        {"configs": {"*": {**LOGIN, **LAX}}},
        {"_default": Host(Endpoint("", config={**LOGIN, **LAX}))},
    ),
    "this machine, a mirror of nothing": (mirror("localhost"), {}),
    "this machine, the port of https": (mirror("localhost:443"), {}),
    "this machine, another port": (mirror("localhost:5000"), {}),
    "this machine, the port of http": (mirror("localhost:80"), {}),
    "this machine, unverified": (
        mirror("localhost:5000", "https://localhost:5000", **{"localhost:5000": LAX}),
        {
            "localhost:5000": Host(
                Endpoint("http://localhost:5000/v2", config=LAX),
                (Endpoint("https://localhost:5000/v2", config=LAX),),
            )
        },
    ),
    "new names": (
        {"mirrors": {"docker.io": {"endpoint": [COM], "rewrite": {"^a/(.*)": "b/$1"}}}},
        hub(Endpoint(f"{COM}/v2", rewrites={"^a/(.*)": "b/$1"})),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_translated_as_by_k3s(name: str) -> None:
    given, wanted = CASES[name]
    assert translate(yaml.safe_load(yaml.safe_dump(given)), only_mirrors=False) == wanted
    for host in wanted.values():
        assert tomllib.loads(hosts_toml(host))


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (mirror("docker.io", f"{COM}/v2", **COM_LOGIN), [f"{COM}/v2"]),
        (mirror("docker.io", COM, ORG, "docker.io"), [f"{COM}/v2", f"{ORG}/v2", HUB]),
        (mirror("docker.io", COM, **{"docker.io": LOGIN}), [f"{COM}/v2", HUB]),
    ],
)
def test_only_mirrors_are_asked_unless_the_host_is_one_or_has_an_entry_in_configs(
    given: dict[str, Any], asked: list[str]
) -> None:
    parsed = tomllib.loads(hosts_toml(translate(given, only_mirrors=True)["docker.io"]))
    assert list(dict.fromkeys([*parsed["host"], parsed["server"]])) == asked


def test_the_authority_goes_to_the_registry_only_and_the_login_to_containerds_own_file() -> None:
    tls = {"ca_file": "/ca.pem", "cert_file": "/node.pem", "key_file": "/node.key"}
    given = mirror("docker.io", COM, **{"registry.example.com": {**LOGIN, "tls": tls}})
    text = hosts_toml(translate(given, only_mirrors=False)["docker.io"])
    parsed = tomllib.loads(text)
    assert parsed["host"][f"{COM}/v2"] == {
        "capabilities": ["pull", "resolve"],
        "ca": ["/ca.pem"],
        "client": [["/node.pem", "/node.key"]],
    }
    assert "ca" not in parsed
    assert "pass" not in text
    plugin = tomllib.loads(logins(given))["plugins"]["io.containerd.cri.v1.images"]["registry"]
    assert plugin == {"configs": {"registry.example.com": LOGIN}}


def test_a_node_without_the_file_pulls_from_docker_io_only(tmp_path: Path) -> None:
    k3s, folder = tmp_path / "k3s", tmp_path / "containerd"
    k3s.mkdir()
    (k3s / "registries.yaml").write_text(yaml.safe_dump(mirror("quay.io", COM, **COM_LOGIN)))
    registries.apply(k3s, folder, "version = 2\n", "http://hub:5000")
    operators = folder / "certs.d" / "ghcr.io" / "hosts.toml"
    operators.parent.mkdir()
    operators.write_text("server = 'https://ghcr.io'\n")
    assert (folder / "config.toml").stat().st_mode & 0o077 == 0, "there is a password in it"
    (k3s / "registries.yaml").unlink()
    registries.apply(k3s, folder, "version = 2\n", "http://hub:5000")
    assert (folder / "config.toml").read_text() == "version = 2\n"
    left = {x.name for x in (folder / "certs.d").iterdir()}
    assert left == {"docker.io", "ghcr.io"}, "k3s removes what it has written, and nothing else"
    text = (folder / "certs.d" / "docker.io" / "hosts.toml").read_text()
    assert tomllib.loads(text)["server"] == "http://hub:5000/v2"


def test_what_k3s_is_told_is_read_from_its_configuration(tmp_path: Path) -> None:
    flags = tmp_path / "config.yaml.d"
    flags.mkdir()
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(mirror("docker.io", COM)))
    (tmp_path / "config.yaml").write_text(f"private-registry: {tmp_path}/mine.yaml\n")
    (flags / "x.yaml").write_text("disable-default-registry-endpoint: true\n")
    registries.apply(tmp_path, tmp_path / "containerd", "", "http://hub:5000")
    text = (tmp_path / "containerd" / "certs.d" / "docker.io" / "hosts.toml").read_text()
    assert "hub" not in text
    assert COM in text
