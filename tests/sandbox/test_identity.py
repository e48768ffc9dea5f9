"""A cluster is the same however it is reached; what is not in the state is not taken over."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.cloud import spaces
from tests.sandbox.helpers import Sandbox
from tests.sandbox.kubeconfigs import Kubeconfig, another_cluster, kubeconfig, tunnel, written


def within(sandbox: Sandbox, **variables: str) -> Sandbox:
    """Return the sandbox as seen from a shell with other environment variables."""
    other = replace(sandbox)
    vars(other)["environment"] = sandbox.environment | variables
    return other


def doubled_ca(config: Kubeconfig) -> None:
    cluster = config["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"])
    cluster["certificate-authority-data"] = base64.b64encode(authority * 2).decode()


def other_names(config: Kubeconfig) -> None:
    """Rename context, cluster and user, as another machine's kubeconfig has them."""
    config["current-context"] = config["contexts"][0]["name"] = "elsewhere"
    for kind in ("cluster", "user"):
        config[f"{kind}s"][0]["name"] = config["contexts"][0]["context"][kind] = f"other-{kind}"


@pytest.mark.parametrize("change", [doubled_ca, other_names], ids=lambda change: change.__name__)
def test_another_kubeconfig_of_the_same_cluster_changes_nothing(
    sandbox: Sandbox, tmp_path: Path, change: Callable[[Kubeconfig], None]
) -> None:
    config = kubeconfig(sandbox)
    change(config)
    path = written(config, tmp_path / "kubeconfig")
    within(sandbox, KUBECONFIG=str(path)).pulumi("up", "--yes", "--expect-no-changes")


def test_another_address_of_the_same_cluster_changes_nothing_and_images_still_pull(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    config = kubeconfig(sandbox)
    cluster = config["clusters"][0]["cluster"]
    with tunnel(cluster["server"]) as cluster["server"]:
        path = written(config, tmp_path / "kubeconfig")
        within(sandbox, KUBECONFIG=str(path)).pulumi("up", "--yes", "--expect-no-changes")
    assert sandbox.http("GET", "/v2/_catalog", login=True)[0] == 200


def test_a_list_of_kubeconfigs_and_the_default_one_change_nothing(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    paths = f"/nonexistent:{sandbox.layout.kubeconfig}"
    within(sandbox, KUBECONFIG=paths).pulumi("preview", "--expect-no-changes")
    (tmp_path / ".kube").mkdir()
    shutil.copy(sandbox.layout.kubeconfig, tmp_path / ".kube" / "config")
    at_home = within(sandbox, KUBECONFIG="", HOME=str(tmp_path))
    at_home.pulumi("preview", "--expect-no-changes")


def test_choices_of_one_shell_change_nothing(sandbox: Sandbox) -> None:
    shell = within(
        sandbox,
        PULUMI_K8S_DELETE_UNREACHABLE="true",
        PULUMI_K8S_UPSERT_EXISTING_OBJECTS="true",
        SPACES_ACCESS_KEY_ID="DO00SHELL",
        SPACES_SECRET_ACCESS_KEY="x",
    )
    shell.pulumi("preview", "--expect-no-changes")


def test_no_path_of_this_machine_is_in_the_state(sandbox: Sandbox) -> None:
    assert str(sandbox.layout.state) not in sandbox.pulumi("stack", "export").stdout


def test_a_preview_without_a_cluster_is_one_warning(sandbox: Sandbox) -> None:
    nowhere = within(sandbox, KUBECONFIG="/nonexistent")
    output = nowhere.pulumi("preview", "--expect-no-changes").stdout
    assert output.split("Diagnostics:")[1].count("`pulumi up` would be refused") == 1
    assert "memcache" not in output
    refused = nowhere.pulumi("up", "--yes", "--skip-preview", fails=True).stdout
    assert "expected a cluster that can be asked" in refused


def test_with_contents_in_the_configuration_no_kubeconfig_is_needed(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    key = "kubernetes:kubeconfig"
    sandbox.pulumi("config", "set", "--secret", key, stdin=json.dumps(kubeconfig(sandbox)))
    nowhere = within(sandbox, KUBECONFIG="/nonexistent")
    try:
        output = nowhere.pulumi("up", "--yes", "--skip-preview").stdout
        assert changes(output) == {"updated": 1}, "the provider, and nothing that it manages"
        nowhere.pulumi("preview", "--expect-no-changes")
        path = written(kubeconfig(sandbox), tmp_path / "kubeconfig")
        sandbox.pulumi("config", "set", key, str(path))
        nowhere.pulumi("preview", "--expect-no-changes")
    finally:
        sandbox.pulumi("config", "rm", key)
        sandbox.pulumi("up", "--yes", "--skip-preview")


def changes(output: str) -> dict[str, int]:
    """Return how many resources a command changed, by what it did to them."""
    summary = output.split("Resources:\n")[1].splitlines()
    counted = (
        line.split(maxsplit=2) for line in summary if line.startswith(("    +", "    ~", "    -"))
    )
    return {kind: int(count) for _, count, kind in counted}


def test_another_cluster_is_refused_before_anything_changes(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    config = kubeconfig(sandbox)
    with another_cluster(sandbox) as server:
        config["clusters"][0]["cluster"] = {"server": server}
        path = written(config, tmp_path / "kubeconfig")
        elsewhere = within(sandbox, KUBECONFIG=str(path))
        for command in ("up", "destroy --run-program"):
            refused = elsewhere.pulumi(*command.split(), "--yes", "--skip-preview", fails=True)
            assert "expected this stack's cluster" in refused.stdout
            assert "another-cluster" in refused.stdout
    sandbox.pulumi("preview", "--expect-no-changes")


@pytest.fixture
def other_state(sandbox: Sandbox, tmp_path: Path) -> Sandbox:
    """A backend of its own with a stack of the same name: a lost state, or a colleague's."""
    backend = tmp_path / "backend"
    backend.mkdir()
    other = within(sandbox, PULUMI_BACKEND_URL=f"file://{backend}")
    other.pulumi("stack", "init", sandbox.layout.name)
    return other


def test_another_state_with_the_same_names_is_refused_before_anything_is_created(
    sandbox: Sandbox, other_state: Sandbox
) -> None:
    keys = sandbox.api("GET", "spaces/keys")
    namespace = sandbox.get("namespace", "registry")
    for command in (["preview"], ["up", "--yes", "--skip-preview"]):
        refused = other_state.pulumi(*command, fails=True).stdout
        assert "the Namespace registry exists, and is not in this stack's state" in refused
        assert "another state of this stack" in refused
    assert sandbox.api("GET", "spaces/keys") == keys, "nothing may be created in the cloud"
    assert sandbox.get("namespace", "registry") == namespace
    other_state.pulumi("destroy", "--yes", "--skip-preview")
    assert sandbox.http("GET", "/v2/", login=True)[0] == 200
    sandbox.pulumi("preview", "--expect-no-changes")


def test_a_stack_moves_to_another_backend(sandbox: Sandbox, other_state: Sandbox) -> None:
    other_state.pulumi("stack", "import", stdin=sandbox.pulumi("stack", "export").stdout)
    other_state.pulumi("preview", "--expect-no-changes")


def test_a_stack_may_be_renamed(sandbox: Sandbox) -> None:
    old, new = sandbox.layout.name, f"{sandbox.layout.name}-renamed"
    sandbox.pulumi("stack", "rename", new)
    renamed = replace(sandbox, stack=new)
    try:
        output = renamed.pulumi("preview").stdout
        assert changes(output).keys() == {"to update"}, output
    finally:
        renamed.pulumi("stack", "rename", old)
    sandbox.pulumi("preview", "--expect-no-changes")


def test_a_bad_token_is_told_before_anything_changes(sandbox: Sandbox) -> None:
    token = spaces.secrets(sandbox.layout).token
    sandbox.pulumi("config", "set", "--secret", "digitalocean:token", stdin="wrong")
    try:
        refused = sandbox.pulumi("up", "--yes", "--skip-preview", fails=True).stdout
        assert "DigitalOcean does not know this API token" in refused
        assert "pulumi config set --secret digitalocean:token" in refused
        assert "does not know this API token" in sandbox.pulumi("preview").stdout
    finally:
        sandbox.pulumi("config", "set", "--secret", "digitalocean:token", stdin=token)
    sandbox.pulumi("preview", "--expect-no-changes")
