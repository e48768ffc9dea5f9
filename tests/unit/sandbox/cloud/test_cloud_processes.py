from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from sandbox.cloud import acme, docker_io, spaces
from sandbox.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, "sandbox", 7)


def test_secrets_are_drawn_once(layout: Layout) -> None:
    assert spaces.secrets(layout) == spaces.secrets(layout), "a restart must not lock the state out"


def test_secrets_are_for_their_owner_alone(layout: Layout) -> None:
    spaces.secrets(layout)
    path = layout.state / "cloud" / "secrets.json"
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_sandboxes_have_secrets_of_their_own(layout: Layout, tmp_path: Path) -> None:
    other = Layout(tmp_path, "sandbox-two", 8)
    assert spaces.secrets(layout).token != spaces.secrets(other).token


def test_no_secret_is_in_an_argument(layout: Layout) -> None:
    secrets = spaces.secrets(layout)
    arguments = [word for process in spaces.processes(layout) for word in process.argv]
    for secret in (secrets.root_access_key, secrets.root_secret_key, secrets.token):
        assert not [word for word in arguments if secret in word], "argv is open to all users"


def test_only_the_api_knows_the_token(layout: Layout) -> None:
    token = spaces.secrets(layout).token
    knowing = [one.name for one in spaces.processes(layout) if token in one.env.values()]
    assert knowing == ["digitalocean-api"]


def test_each_process_waits_for_what_it_needs(layout: Layout) -> None:
    after = {process.name: process.after for process in spaces.processes(layout)}
    assert after == {
        "spaces-iam": None,
        "spaces": "http://127.77.7.3:7071/health",
        "digitalocean-api": "http://10.77.7.3:7070/health",
    }


def test_the_folders_of_the_servers_are_there(layout: Layout) -> None:
    spaces.processes(layout)
    spaces.processes(layout)
    for name in ("iam", "spaces"):
        folder = layout.state / "cloud" / name
        assert folder.stat().st_mode & 0o777 == 0o700, "storage keys' secrets are below"


def test_two_sandboxes_share_no_address(layout: Layout, tmp_path: Path) -> None:
    other = Layout(tmp_path, "sandbox-two", 8)
    ours, theirs = (
        {
            word
            for process in spaces.processes(one) + docker_io.processes(one)
            for word in process.argv
            if word[:1] in "0123456789@"
        }
        for one in (layout, other)
    )
    assert ours
    assert not ours & theirs, "they may run in one network namespace"


def test_docker_io_listens_where_the_layout_says(layout: Layout) -> None:
    (process,) = docker_io.processes(layout)
    written = yaml.safe_load(Path(process.argv[-1]).read_text())
    assert layout.docker_io_endpoint.endswith(":5000")
    assert written["http"] == {"addr": "10.77.7.3:5000"}
    assert process.env == {"OTEL_TRACES_EXPORTER": "none"}


def test_docker_io_keeps_its_images_in_a_folder() -> None:
    written = yaml.safe_load(docker_io.config("10.0.0.1:5000", Path("/kept")))
    assert written["storage"] == {"filesystem": {"rootdirectory": "/kept"}}
    assert "auth" not in written, "docker.io's public images need no login"


def test_the_certificate_authority_checks_who_asks_on_the_ports_of_the_node(
    layout: Layout,
) -> None:
    (process,) = acme.processes(layout)
    pebble = json.loads(Path(process.argv[-1]).read_text())["pebble"]
    assert layout.acme_server == "https://acme.sandbox-7.test:14000/dir"
    assert pebble["listenAddress"] == "10.77.7.3:14000"
    assert (pebble["httpPort"], pebble["tlsPort"]) == (80, 443)
    assert "PEBBLE_VA_ALWAYS_VALID" not in process.env, "anybody would get any certificate"
