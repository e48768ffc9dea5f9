"""Pulls by nodes and namespaces: with a file, with pull Secrets."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.sandbox.helpers import Sandbox, eventually, pod, runs, state
from tests.sandbox.nodes import FILE, REFUSED, on_node, output, parsed, pulling, up

__all__ = ["pulling"]


@pytest.mark.usefixtures("pulling")
def test_k3s_own_parser_understands_the_whole_file(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text(output(sandbox, "registries_yaml"))
    password = output(sandbox, "pull_password").strip()
    assert parsed(sandbox, file) == {
        "mirrors": {"example.com": {"endpoint": [f"https://{sandbox.registry}"]}},
        "configs": {
            sandbox.registry: {
                "auth": {"username": "pull", "password": password},
                "tls": {
                    "ca_file": str(sandbox.layout.pki / "ca.crt"),
                    "insecure_skip_verify": False,
                },
            }
        },
    }, "it silently ignores a key in the wrong place"


@pytest.mark.usefixtures("pulling")
def test_cloud_init_writes_the_same_file_for_root_only(sandbox: Sandbox) -> None:
    text = output(sandbox, "registries_cloud_init")
    assert text.startswith("#cloud-config\n"), "cloud-init requires this first line"
    (file,) = yaml.safe_load(text)["write_files"]
    assert file["content"] == output(sandbox, "registries_yaml")
    assert (file["path"], file["permissions"]) == (FILE, "0600")


@pytest.mark.usefixtures("pulling")
def test_all_pods_of_a_configured_namespace_pull_and_those_of_others_do_not(
    sandbox: Sandbox,
) -> None:
    assert json.loads(output(sandbox, "pull_secrets")) == ["team/registry-pull"]
    image = f"{sandbox.registry}/containous/whoami:private"
    sandbox.apply(pod("with", image, "team"), pod("without", image))
    eventually("the pod runs", partial(runs, sandbox, "with", "team"))
    eventually("no Secret", lambda: state(sandbox, "without") in REFUSED)


@pytest.mark.usefixtures("pulling")
def test_what_pull_secrets_would_break_is_reported_before_any_change(sandbox: Sandbox) -> None:
    sandbox.kubectl("create", "namespace", "theirs")
    try:
        patch = '{"imagePullSecrets": [{"name": "theirs"}]}'
        account = ["serviceaccount", "default", "--namespace=theirs"]
        eventually(
            "an account",
            lambda: "default" in sandbox.kubectl("get", *account, "--ignore-not-found").stdout,
        )
        sandbox.kubectl("patch", *account, f"--patch={patch}")
        sandbox.config(
            **{"pullSecrets__namespaces[1]": "theirs", "pullSecrets__namespaces[2]": "no"}
        )
        result = sandbox.pulumi("up", "--yes", "--skip-preview", fails=True)
    finally:
        for _ in range(2):
            sandbox.pulumi("config", "rm", "--path", "pullSecrets.namespaces[1]")
        sandbox.kubectl("delete", "namespace", "theirs", "--wait=false")
    assert 'pullSecrets.namespaces = "no"' in result.stdout
    assert "fix: kubectl create namespace no" in result.stdout
    assert "the default service account of theirs has pull Secrets already: theirs" in result.stdout
    assert "nothing was changed" in result.stdout


@pytest.mark.usefixtures("pulling")
def test_a_node_with_the_file_pulls_by_the_prefix_and_from_docker_io_as_before(
    sandbox: Sandbox,
) -> None:
    on_node(
        sandbox,
        "install -D -m 0600 /dev/stdin /etc/rancher/k3s/registries.yaml; systemctl restart k3s",
        stdin=output(sandbox, "registries_yaml"),
    )
    try:
        sandbox.apply(
            pod("prefixed", "example.com/containous/whoami:private"),
            pod("missing", "example.com/containous/whoami"),
            pod("public", "containous/whoami"),
        )
        eventually("from the registry", partial(runs, sandbox, "prefixed"))
        eventually("from docker.io", partial(runs, sandbox, "public"))
        eventually("no such image", lambda: state(sandbox, "missing") in REFUSED)
    finally:
        on_node(sandbox, "rm /etc/rancher/k3s/registries.yaml; systemctl restart k3s")
    description = sandbox.kubectl("describe", "pod", "missing").stdout
    assert "Error: ErrImagePull" in description, "the seed's symptom of a missing image"


@pytest.mark.usefixtures("pulling")
def test_what_is_no_longer_configured_is_removed(sandbox: Sandbox) -> None:
    sandbox.pulumi("config", "rm", "--path", "pullSecrets.namespaces")
    up(sandbox)
    account = sandbox.get("serviceaccount", "default", "--namespace=team")
    assert not account.get("imagePullSecrets"), "pods would need a Secret that is gone"
    assert not sandbox.get("secrets", "--namespace=team")["items"]
