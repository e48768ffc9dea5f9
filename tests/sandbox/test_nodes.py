"""Pulls by nodes and namespaces: with a file, with the node configurator, with pull Secrets."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from sandbox.build import images
from sandbox.enclosure import enclosure
from sandbox.node import config
from tests.sandbox.helpers import Result, Sandbox, eventually, pod, runs, state

REFUSED = {"ErrImagePull", "ImagePullBackOff"}

PATH = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The PATH of a root shell on a node."""

OPERATORS = """\
mirrors:
  quay.io: {endpoint: ["https://quay-mirror.example.net"]}
  old.example.com:
    endpoint:
      - https://REGISTRY
configs:
  quay-mirror.example.net:
    auth: {username: yes, password: 0123}
    tls: {insecure_skip_verify: true}
"""
"""An operator's configuration, with a mirror that once led to the registry."""


def on_node(sandbox: Sandbox, command: str, stdin: str = "") -> Result:
    """Run a command in a root shell of the node."""
    shell = ["env", f"PATH={PATH}", "sh", "-ec", command]
    return sandbox.run(*enclosure.enter(sandbox.layout), *shell, stdin=stdin)


def up(sandbox: Sandbox) -> None:
    sandbox.pulumi("up", "--yes", "--skip-preview")


def restarts(sandbox: Sandbox) -> int:
    """Return how often k3s was restarted on the node."""
    return (sandbox.layout.logs / "systemctl.log").read_text().count("restart k3s\n")


def parsed(sandbox: Sandbox, file: Path) -> object:
    """Parse a registries.yaml with k3s's own parser; leave out empty values, which it adds."""
    content = json.loads(sandbox.run("registries-check", file).stdout)

    def strip(value: object) -> object:
        if isinstance(value, dict):
            return {key: strip(inner) for key, inner in value.items() if inner not in ("", None)}
        return value

    return strip(content)


def output(sandbox: Sandbox, name: str) -> str:
    return sandbox.pulumi("stack", "output", name, "--show-secrets").stdout.rstrip("\n") + "\n"


@pytest.fixture(scope="module")
def configured(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A mirror prefix for nodes, a pull Secret for one namespace, and an image for both."""
    auth = tmp_path_factory.mktemp("login") / "auth.json"
    sandbox.run("sh", "-c", f"{output(sandbox, 'login').strip()} --authfile {auth}")
    source = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    target = f"docker://{sandbox.registry}/containous/whoami:private"
    sandbox.run("skopeo", "copy", f"--authfile={auth}", source, target)
    sandbox.kubectl("create", "namespace", "team")
    sandbox.config(
        nodes__mirrorPrefix="example.com",
        nodes__caFile=str(sandbox.layout.pki / "ca.crt"),
        pullSecrets__defaultServiceAccount=True,
        **{"pullSecrets__namespaces[0]": "team"},
    )
    try:
        up(sandbox)
        yield
    finally:
        sandbox.kubectl("delete", "pods", "--all", "--wait=false")
        sandbox.pulumi("config", "rm", "nodes")
        sandbox.pulumi("config", "rm", "pullSecrets")
        up(sandbox)
        sandbox.kubectl("delete", "namespace", "team")
        on_node(sandbox, "rm -rf /etc/rancher/k3s; systemctl restart k3s")


@pytest.mark.usefixtures("configured")
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


@pytest.mark.usefixtures("configured")
def test_cloud_init_writes_the_same_file_for_root_only(sandbox: Sandbox) -> None:
    text = output(sandbox, "cloud_init")
    assert text.startswith("#cloud-config\n"), "cloud-init requires this first line"
    (file,) = yaml.safe_load(text)["write_files"]
    assert file["content"] == output(sandbox, "registries_yaml")
    assert (file["path"], file["permissions"]) == ("/etc/rancher/k3s/registries.yaml", "0600")


@pytest.mark.usefixtures("configured")
def test_all_pods_of_a_configured_namespace_pull_and_those_of_others_do_not(
    sandbox: Sandbox,
) -> None:
    assert json.loads(output(sandbox, "pull_secrets")) == ["team/registry-pull"]
    image = f"{sandbox.registry}/containous/whoami:private"
    sandbox.apply(pod("with", image, "team"), pod("without", image))
    eventually("the pod runs", partial(runs, sandbox, "with", "team"))
    eventually("no Secret", lambda: state(sandbox, "without") in REFUSED)


@pytest.mark.usefixtures("configured")
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


@pytest.mark.usefixtures("configured")
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


@pytest.fixture(scope="module")
def configured_node(sandbox: Sandbox, configured: None) -> int:  # noqa: ARG001 (must run first)
    """Configure the node; return how often that restarted k3s."""
    operators = shlex.quote(OPERATORS.replace("REGISTRY", sandbox.registry))
    file = "/etc/rancher/k3s/registries.yaml"
    on_node(sandbox, f"mkdir -p {Path(file).parent}; printf %s {operators} > {file}")
    on_node(sandbox, "systemctl restart k3s")
    before = restarts(sandbox)
    sandbox.config(nodes__configure=True, nodes__overrideDockerIo=True)
    up(sandbox)
    return restarts(sandbox) - before


def test_a_node_is_configured_keeps_the_operators_entries_and_pulls_from_nowhere_else(
    sandbox: Sandbox, configured_node: int, tmp_path: Path
) -> None:
    file = config.folder(sandbox.layout) / "rancher" / "k3s" / "registries.yaml"
    assert file.stat().st_mode & 0o777 == 0o600, "there is a password in it"
    merged, ours = parsed(sandbox, file), tmp_path / "ours"
    ours.write_text(output(sandbox, "registries_yaml"))
    expected = parsed(sandbox, ours)
    assert isinstance(expected, dict)
    expected["mirrors"]["quay.io"] = {"endpoint": ["https://quay-mirror.example.net"]}
    expected["configs"]["quay-mirror.example.net"] = {
        "auth": {"username": "yes", "password": "0123"},
        "tls": {"insecure_skip_verify": True},
    }
    assert merged == expected, "the operator's unchanged, ours current, and no old prefix"
    assert configured_node == 1, "one restart is enough"
    leases = sandbox.kubectl("get", "leases", "--namespace=registry-nodes").stderr
    assert "No resources found" in leases, "the next node would wait forever"

    sandbox.apply(
        pod("overridden", "containous/whoami:private"),
        pod("elsewhere", "docker.io/containous/whoami:latest"),
    )
    eventually("from the registry", partial(runs, sandbox, "overridden"))
    eventually("not from docker.io", lambda: state(sandbox, "elsewhere") in REFUSED)


@pytest.mark.usefixtures("configured_node")
def test_a_pod_that_restarts_finds_its_node_configured(sandbox: Sandbox) -> None:
    before = restarts(sandbox)
    daemons = ["--namespace=registry-nodes", "daemonset/node-configurator"]
    sandbox.kubectl("rollout", "restart", *daemons)
    sandbox.kubectl("rollout", "status", *daemons, "--timeout=60s")
    log = sandbox.kubectl("logs", *daemons, "--container=configure").stdout
    assert log == "this node is set up already\n"
    assert restarts(sandbox) == before, "k3s restarts only for changes"
    sandbox.pulumi("up", "--yes", "--expect-no-changes")


@pytest.mark.usefixtures("configured")
def test_a_node_waits_while_another_one_restarts(sandbox: Sandbox) -> None:
    before = restarts(sandbox)
    where = "--namespace=registry-nodes"
    sandbox.apply(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "node-configurator", "namespace": "registry-nodes"},
            "spec": {"holderIdentity": "another-node"},
        }
    )
    on_node(sandbox, "echo '# news' >> /etc/rancher/k3s/registries.yaml")
    sandbox.kubectl("rollout", "restart", where, "daemonset/node-configurator")

    def waits() -> bool:
        pods = sandbox.get("pods", where)["items"]
        running = [
            pod["metadata"]["name"]
            for pod in pods
            for container in pod["status"].get("initContainerStatuses", [])
            if "running" in container["state"]
        ]
        if len(pods) > 1 or not running:
            return False
        log = sandbox.kubectl("logs", where, running[0], "--container=configure").stdout
        return "waiting for another-node" in log

    eventually("it waits", waits)
    assert restarts(sandbox) == before, "two servers must not be down at once"
    sandbox.kubectl("delete", where, "lease/node-configurator")
    sandbox.kubectl("rollout", "status", where, "daemonset/node-configurator", "--timeout=60s")
    assert restarts(sandbox) == before + 1


@pytest.mark.usefixtures("configured")
def test_what_is_no_longer_configured_is_removed(sandbox: Sandbox) -> None:
    sandbox.config(nodes__configure=False)
    sandbox.pulumi("config", "rm", "--path", "pullSecrets.namespaces")
    up(sandbox)
    account = sandbox.get("serviceaccount", "default", "--namespace=team")
    assert not account.get("imagePullSecrets"), "pods would need a Secret that is gone"
    assert not sandbox.get("secrets", "--namespace=team")["items"]
    assert "registry-nodes" not in sandbox.kubectl("get", "namespaces").stdout
