"""The node configurator, on the sandbox's node and with k3s's own parser."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.nodes.configurator import LEASE, LEASE_NAMESPACE, NAME
from sandbox.k3s import systemctl
from scripts.nodes import lease
from scripts.shared import api_server
from tests.sandbox.helpers import Sandbox, eventually, pod, runs, state
from tests.sandbox.nodes import FILE, REFUSED, hold_lease, on_node, output, parsed, pulling, up

__all__ = ["pulling"]

OPERATORS = """\
# ours since 2023
mirrors:
  # the office
  quay.io: {endpoint: ["https://quay-mirror.example.net"]}

configs:
  quay-mirror.example.net:
    auth: {username: yes, password: 0123}
    tls: {insecure_skip_verify: true}"""
"""An operator's file, without a last line break."""

NAMESPACE = "--namespace=registry-nodes"
LEASE_FLAG = f"--namespace={LEASE_NAMESPACE}"
DAEMON_SET = f"daemonset/{NAME}"
RELEASE = (
    f"kubectl patch --namespace={LEASE_NAMESPACE} lease {LEASE} --type=merge "
    """--patch='{"metadata":{"finalizers":null}}'"""
)


def restarts(sandbox: Sandbox) -> int:
    """Return how often k3s was restarted on the node."""
    log = systemctl.log(sandbox.layout, sandbox.layout.node)
    return log.read_text().count("restart k3s\n") if log.exists() else 0


def roll_out(sandbox: Sandbox) -> None:
    """Start the pod again, and wait until its node is configured."""
    sandbox.kubectl("rollout", "restart", NAMESPACE, DAEMON_SET)
    sandbox.kubectl("rollout", "status", NAMESPACE, DAEMON_SET, "--timeout=60s")


def log(sandbox: Sandbox) -> str:
    """Return what the pod said; another one is created only when it is gone."""
    selector = f"--selector=app.kubernetes.io/component={NAME}"
    which = (NAMESPACE, selector, "--container=configure", "--ignore-errors", "--tail=-1")
    return sandbox.kubectl("logs", *which).stdout


@pytest.fixture(scope="module")
def configured(sandbox: Sandbox, pulling: None) -> Iterator[None]:  # noqa: ARG001 (must run first)
    """Configure the node."""
    before = restarts(sandbox)
    try:
        sandbox.config(nodes__configure=True, nodes__overrideDockerIo=True)
        up(sandbox)
        assert restarts(sandbox) == before + 1, "one restart is enough"
        yield
    finally:
        sandbox.config(nodes__configure=False)
        up(sandbox)
    assert "registry-nodes" not in sandbox.kubectl("get", "namespaces").stdout


def file(sandbox: Sandbox) -> Path:
    return sandbox.layout.node.folder / "rancher" / "k3s" / "registries.yaml"


@pytest.mark.usefixtures("configured")
def test_the_file_is_the_one_of_the_output_for_root_only(sandbox: Sandbox) -> None:
    assert file(sandbox).read_text() == output(sandbox, "registries_yaml")
    assert file(sandbox).stat().st_mode & 0o777 == 0o600, "there is a password in it"
    leases = sandbox.kubectl("get", "leases", LEASE_FLAG).stdout
    assert LEASE not in leases, "the next node would wait forever"


@pytest.mark.usefixtures("configured")
def test_the_node_pulls_from_the_registry_and_from_nowhere_else(sandbox: Sandbox) -> None:
    sandbox.apply(
        pod("overridden", "containous/whoami:private"),
        pod("elsewhere", "docker.io/containous/whoami:latest"),
    )
    eventually("from the registry", lambda: runs(sandbox, "overridden"))
    eventually("not from docker.io", lambda: state(sandbox, "elsewhere") in REFUSED)


@pytest.mark.usefixtures("configured")
def test_a_pod_that_restarts_finds_its_node_configured(sandbox: Sandbox) -> None:
    before = restarts(sandbox)
    on_node(sandbox, f"printf '\\n# news\\n' >> {FILE}")
    roll_out(sandbox)
    assert log(sandbox) == "this node is configured already\n"
    assert restarts(sandbox) == before, "k3s restarts only for our changes"
    sandbox.pulumi("up", "--yes", "--expect-no-changes")


@pytest.mark.usefixtures("configured")
def test_what_lasts_has_no_token(sandbox: Sandbox) -> None:
    (running,) = sandbox.pods(NAME, "registry-nodes")
    (lasting,) = running["spec"]["containers"]
    assert "volumeMounts" not in lasting
    code = "import os; print(os.path.exists('/var/run/secrets'))"
    exec_ = ["exec", NAMESPACE, running["metadata"]["name"], "--container=done", "--"]
    result = sandbox.kubectl(*exec_, "python3", "-c", code)
    assert result.stdout == "False\n"


def added(inputs: Any, live: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of what an object has beyond its inputs."""
    if isinstance(live, dict):
        for key, value in live.items():
            if key not in inputs:
                yield f"{path}.{key}"
            else:
                yield from added(inputs[key], value, f"{path}.{key}")
    elif isinstance(live, list):
        assert len(live) == len(inputs)
        for number, (wanted, value) in enumerate(zip(inputs, live, strict=True)):
            yield from added(wanted, value, f"{path}[{number}]")


@pytest.mark.usefixtures("configured")
def test_the_api_server_has_nothing_to_fill_in(sandbox: Sandbox) -> None:
    state = json.loads(sandbox.pulumi("stack", "export").stdout)["deployment"]["resources"]
    inputs = {item["urn"].split("::")[-1]: item.get("inputs") for item in state}
    for kind, where, name in (
        ("daemonset", "registry-nodes", NAME),
        ("role", LEASE_NAMESPACE, f"{NAME}-registry-nodes"),
        ("rolebinding", LEASE_NAMESPACE, f"{NAME}-registry-nodes"),
    ):
        live = sandbox.get(kind, name, f"--namespace={where}")
        resource = {"daemonset": "daemon-set", "rolebinding": "role-binding"}.get(kind, kind)
        for part in ("spec", "rules", "roleRef", "subjects"):
            defaulted = set(
                added(inputs[f"nodes-configurator-{resource}"].get(part), live.get(part))
            )
            # Of `kubectl rollout restart`, and an empty object that nobody owns.
            ignored = {".template.metadata.annotations", ".template.metadata.creationTimestamp"}
            assert defaulted <= ignored, f"{kind}: an interrupted `up` conflicts with itself"


@pytest.mark.usefixtures("configured")
def test_its_service_account_may_hold_the_lock_and_only_its_own(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = json.loads(sandbox.kubectl("config", "view", "--raw", "--output=json").stdout)
    (server,) = [item["cluster"] for item in cluster["clusters"]]
    (tmp_path / "ca.crt").write_bytes(base64.b64decode(server["certificate-authority-data"]))
    token = sandbox.kubectl("create", "token", "default", NAMESPACE).stdout.strip()
    (tmp_path / "token").write_text(token)
    monkeypatch.setattr(api_server, "URL", server["server"])
    monkeypatch.setattr(api_server, "TIMEOUT_SECONDS", 1)
    with pytest.raises(api_server.ApiServerError, match="403"):
        lease.Lease(f"{LEASE_NAMESPACE}/another", "a", tmp_path).check()
    first, second = (lease.Lease(f"{LEASE_NAMESPACE}/{LEASE}", x, tmp_path) for x in "ab")
    first.take()
    sandbox.kubectl("delete", LEASE_FLAG, "lease", LEASE, "--wait=false")
    first.check()
    sandbox.run("sh", "-c", RELEASE)
    second.take()
    with pytest.raises(lease.LeaseError, match="taken away"):
        first.check()
    first.release()
    second.check()
    second.release()
    assert LEASE not in sandbox.kubectl("get", "leases", LEASE_FLAG).stdout


@pytest.mark.usefixtures("configured")
def test_a_node_waits_for_another_one_until_its_lock_is_released(sandbox: Sandbox) -> None:
    before = restarts(sandbox)
    hold_lease(sandbox, "another-node")
    # As docs/nodes.md says, for a node without the DaemonSet.
    on_node(sandbox, f"rm {FILE}")
    sandbox.kubectl("rollout", "restart", NAMESPACE, DAEMON_SET)
    eventually("it waits", lambda: "waiting for another-node/" in log(sandbox))
    assert RELEASE in log(sandbox)
    sandbox.kubectl("delete", LEASE_FLAG, "lease", LEASE, "--wait=false")
    status = ["rollout", "status", NAMESPACE, DAEMON_SET]
    sandbox.kubectl(*status, "--timeout=8s", fails=True)
    assert restarts(sandbox) == before, "two servers must not be down at once"
    sandbox.run("sh", "-c", RELEASE)
    sandbox.kubectl(*status, "--timeout=60s")
    assert restarts(sandbox) == before + 1
    leases = sandbox.kubectl("get", "leases", LEASE_FLAG).stdout
    assert LEASE not in leases


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.usefixtures("configured")
def test_a_file_of_the_operators_is_refused_until_it_has_what_is_printed(
    sandbox: Sandbox, tmp_path: Path, *, linked: bool
) -> None:
    before, store = restarts(sandbox), "/etc/rancher/store.yaml" if linked else FILE
    on_node(sandbox, f"mv {FILE} /etc/rancher/saved; cat > {store}", stdin=OPERATORS)
    if linked:
        on_node(sandbox, f"ln -s {store} {FILE}")
    try:
        sandbox.kubectl("rollout", "restart", NAMESPACE, DAEMON_SET)
        said = [""]  # The log of a container that starts again is empty for a moment.

        def refuses() -> bool:
            said.append(log(sandbox))
            return "then: systemctl restart" in said[-1]

        eventually("it refuses", refuses)
        lines = said[-1].partition("must hold:\n")[2].partition("and /etc")[0]
        password = output(sandbox, "pull_password").strip()
        assert password not in said[-1]
        assert "somebody else wrote or changed it" in said[-1]
        assert on_node(sandbox, f"cat {store}").stdout == OPERATORS
        theirs, ours = (
            yaml.safe_load(OPERATORS),
            yaml.safe_load(lines.replace("PASSWORD", password)),
        )
        merged = {name: theirs[name] | ours[name] for name in theirs}
        on_node(sandbox, f"cat > {store}", stdin=yaml.safe_dump(merged))
        roll_out(sandbox)
        assert log(sandbox) == "this node is configured already\n"
        assert restarts(sandbox) == before
        (tmp_path / "merged").write_text(yaml.safe_dump(merged))
        assert parsed(sandbox, tmp_path / "merged")["configs"].keys() == merged["configs"].keys()
    finally:
        on_node(sandbox, f"rm -f {FILE} {store}; mv /etc/rancher/saved {FILE}")


@pytest.mark.usefixtures("configured")
def test_the_file_that_k3s_is_told_to_read_is_the_one_that_is_written(sandbox: Sandbox) -> None:
    before, mine, told = restarts(sandbox), "/etc/rancher/mine.yaml", "/etc/rancher/k3s/config.yaml"
    on_node(sandbox, f"echo 'private-registry: {mine}' > {told}; rm {FILE}")
    try:
        roll_out(sandbox)
        assert f"wrote {mine}" in log(sandbox)
        assert on_node(sandbox, f"cat {mine}").stdout == output(sandbox, "registries_yaml")
        assert restarts(sandbox) == before + 1
        sandbox.apply(pod("as-told", "example.com/containous/whoami:private"))
        eventually("from the registry", lambda: runs(sandbox, "as-told"))
    finally:
        on_node(sandbox, f"rm -f {told} {mine} {FILE}; systemctl restart k3s")
    roll_out(sandbox)
    assert file(sandbox).read_text() == output(sandbox, "registries_yaml")


@pytest.mark.usefixtures("configured")
def test_a_password_that_containerd_does_not_have_is_not_called_configured(
    sandbox: Sandbox,
) -> None:
    before, text = restarts(sandbox), output(sandbox, "registries_yaml")
    on_node(sandbox, f"rm {FILE}; systemctl restart k3s; cat > {FILE}", stdin=text)
    sandbox.kubectl("rollout", "restart", NAMESPACE, DAEMON_SET)
    eventually("it says so", lambda: "has not read them" in log(sandbox))
    assert "systemctl restart k3s" in log(sandbox)
    assert restarts(sandbox) == before + 1, "only the operator's"
    on_node(sandbox, "systemctl restart k3s")
    roll_out(sandbox)
    assert log(sandbox) == "this node is configured already\n"


@pytest.mark.usefixtures("configured")
def test_the_files_are_removed(sandbox: Sandbox) -> None:
    before = restarts(sandbox)
    path = "/spec/template/spec/initContainers/0/command/-"
    patch = json.dumps([{"op": "add", "path": path, "value": "--remove"}])
    sandbox.kubectl(NAMESPACE, "patch", DAEMON_SET, "--type=json", f"--patch={patch}")
    sandbox.kubectl("rollout", "status", NAMESPACE, DAEMON_SET, "--timeout=60s")
    assert not file(sandbox).exists()
    assert not list((file(sandbox).parent / "config.yaml.d").iterdir())
    assert restarts(sandbox) == before + 1
