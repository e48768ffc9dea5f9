"""What a droplet is told, what pods are, and in which environment pulumi runs."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from live import droplet, story
from live.journal import Journal
from live.names import Run
from live.stack import Stack, environment
from tests.unit.live.world import FakeCommands, World
from tests.unit.sandbox.conftest import TOKEN

HOST = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
USER_DATA = droplet.user_data(HOST, "ssh-ed25519 AAAA", "roots\n", "v1.37.1+k3s1")


def test_user_data_is_yaml_for_cloud_init_below_its_first_line() -> None:
    """https://cloudinit.readthedocs.io/en/latest/reference/modules.html"""
    assert USER_DATA.startswith("#cloud-config\n")
    data = yaml.safe_load(USER_DATA)
    assert data["ssh_keys"] == {"ed25519_private": HOST, "ed25519_public": "ssh-ed25519 AAAA"}
    assert data["ssh_deletekeys"], "no other key of the image may identify it"
    (file,) = data["write_files"]
    assert (file["path"], file["content"]) == (droplet.ACME_ROOTS, "roots\n")


def test_the_droplet_installs_the_pinned_k3s_and_stops_at_the_first_error(tmp_path: Path) -> None:
    ((shell, option, script),) = yaml.safe_load(USER_DATA)["runcmd"]
    curl, log = tmp_path / "curl", tmp_path / "log"
    curl.write_text("#!/bin/sh\necho curl >> $LOG; [ ! $FAILS ] && echo 203.0.113.4\n")
    curl.chmod(0o755)
    script = script.replace("/root/install-k3s", str(tmp_path / "install"))
    (tmp_path / "install").write_text('echo "$INSTALL_K3S_VERSION $*" >> $LOG\n')
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "LOG": str(log)}
    subprocess.run([shell, option, script], env=env, check=True)
    assert log.read_text() == "curl\ncurl\nv1.37.1+k3s1 server --tls-san 203.0.113.4\n"
    log.unlink()
    failed = subprocess.run([shell, option, script], env=env | {"FAILS": "1"}, check=False)
    assert failed.returncode != 0
    assert log.read_text() == "curl\n"


def test_the_servers_key_is_known_before_the_droplet_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.begin(world.home, Run.new(), region="nyc3")
    (journal.folder / "host.pub").write_text("ssh-ed25519 AAAA host\n")
    called: list[str] = []

    def run(_: object, *argv: str | Path, **__: Any) -> str:
        called.extend(map(str, argv))
        return "server: https://127.0.0.1:6443"

    monkeypatch.setattr(FakeCommands, "run", run)
    assert droplet.fetch_kubeconfig(journal, FakeCommands(world, journal), "203.0.113.4")
    assert "StrictHostKeyChecking=yes" in called
    known = journal.folder / "known_hosts"
    assert f"UserKnownHostsFile={known}" in called
    assert known.read_text() == "203.0.113.4 ssh-ed25519 AAAA host\n"
    assert journal.kubeconfig.read_text() == "server: https://203.0.113.4:6443"
    assert stat.S_IMODE(journal.kubeconfig.stat().st_mode) == 0o600


def test_a_pod_pulls_each_time() -> None:
    (container,) = story.pod("one", "images.example.com/a:1")["spec"]["containers"]
    assert (container["image"], container["imagePullPolicy"]) == (
        "images.example.com/a:1",
        "Always",
    )


def waiting(reason: str) -> dict[str, Any]:
    return {"containerStatuses": [{"state": {"waiting": {"reason": reason}}}]}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"phase": "Pending"}, "Pending"),
        ({"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]}, "Running"),
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]},
            "ErrImagePull",
        ),
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]},
            "ErrImagePull",
        ),
    ],
)
def test_a_pod_is_what_its_container_is(status: dict[str, Any], expected: str) -> None:
    assert story.pod_status(status) == expected


def test_a_space_without_images_is_not_as_the_documentation_says(world: World) -> None:
    name = "somebody-elses-abcdefgh"
    connection = {
        "endpoint": world.access.spaces_endpoint,
        "region": "nyc3",
        "bucket": name,
        "path_style": "true",
        "access_key": "key",
        "secret_key": "secret",
    }
    with pytest.raises(story.StoryError, match=f"the Space {name} has no docker/registry"):
        story.check_space({"storage_connection": connection})


def test_pulumi_has_a_home_and_a_backend_of_the_runs_own(tmp_path: Path) -> None:
    journal = Journal.begin(tmp_path / ".live", Run.new(), region="nyc3")
    own = {
        "PATH": "/bin",
        "DIGITALOCEAN_TOKEN": TOKEN,
        "PULUMI_STACK": "prod",
        "PULUMI_BACKEND_URL": "s3://mine",
        "PULUMI_CONFIG_PASSPHRASE": "mine",
        "PULUMI_ACCESS_TOKEN": "mine",
        "SPACES_ACCESS_KEY_ID": "mine",
        "KUBECONFIG": "mine",
    }
    theirs = environment(journal, own)
    assert theirs["DIGITALOCEAN_TOKEN"] == TOKEN, "the only place of the token"
    assert "mine" not in theirs.values()
    assert "s3://mine" not in theirs.values()
    assert theirs["PULUMI_STACK"] == journal.run.name
    for name in ("PULUMI_HOME", "KUBECONFIG", "PULUMI_CONFIG_PASSPHRASE_FILE", "SSL_CERT_FILE"):
        assert theirs[name].startswith(str(journal.folder))


def test_only_a_droplets_cluster_may_be_gone(tmp_path: Path) -> None:
    """What is in the user's own cluster stays in the state until it is deleted."""
    journal = Journal.begin(tmp_path / ".live", Run.new(), region="nyc3")
    assert environment(journal, {})["PULUMI_K8S_DELETE_UNREACHABLE"] == "true"
    journal.write(cluster="the user's own")
    assert environment(journal, {})["PULUMI_K8S_DELETE_UNREACHABLE"] == "false"


def test_the_token_is_in_no_file_of_the_run(world: World) -> None:
    journal = world.run()
    texts = [x.read_bytes() for x in journal.folder.rglob("*") if x.is_file()]
    assert texts
    assert not [text for text in texts if TOKEN.encode() in text]


def test_empty_attributes_of_a_killed_engine_do_not_keep_it_from_destroying(world: World) -> None:
    journal = Journal.begin(world.home, Run.new(), region="nyc3")
    stack = Stack(journal, FakeCommands(world, journal))
    stack.create({"hostname": "registry.example.com"})
    assert stack.exists
    empty, whole = journal.folder / "state" / "a.attrs", journal.folder / "state" / "b.attrs"
    empty.touch()
    whole.write_text(json.dumps({}))
    stack.destroy()
    assert not empty.exists()
    assert whole.exists()
