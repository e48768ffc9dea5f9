"""What must hold for all that the program registers, in every mode: the goldens do not say why."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from settings.problems import SettingsError
from tests.unit.program.conftest import CONFIG, Run
from tests.unit.program.engine import Engine, Resource, Secret, plain
from tests.unit.program.modes import MODES, S3

ALL_MODES = pytest.mark.parametrize("mode", [{}, *MODES.values()], ids=["default", *MODES])


def secrets(engine: Engine) -> set[str]:
    """Return all secret values: what providers generated, and what the user configured."""
    generated = {
        value
        for resource in engine.resources.values()
        for key, value in resource.state.items()
        if key in resource.options.get("additionalSecretOutputs", []) and isinstance(value, str)
    }
    encoded = {base64.b64encode(value.encode()).decode() for value in generated}
    return generated | encoded | {"hunter2", "token-of-own", "secret-of-own", "secret-of-cluster"}


def visible(value: Any) -> Any:
    """Return a received value without its secrets."""
    if isinstance(value, dict):
        return {key: visible(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [visible(inner) for inner in value]
    return None if isinstance(value, Secret) else value


def pods(engine: Engine) -> Iterator[tuple[Resource, dict[str, Any]]]:
    """Return each workload with the spec of its pod."""
    for resource in engine.resources.values():
        if "template" in resource.inputs.get("spec", {}):
            yield resource, resource.inputs["spec"]["template"]["spec"]


@ALL_MODES
def test_no_secret_is_in_clear_in_the_state(run: Run, mode: dict[str, Any]) -> None:
    engine = run({**CONFIG, **mode})
    for name, resource in [*engine.resources.items(), ("stack", engine.stack)]:
        text = json.dumps([visible(resource.marked), visible(resource.outputs)])
        assert not [secret for secret in secrets(engine) if secret in text], name


@ALL_MODES
def test_only_secrets_of_the_cluster_hold_secrets(run: Run, mode: dict[str, Any]) -> None:
    engine = run({**CONFIG, **mode})
    for name, resource in engine.resources.items():
        if resource.type.startswith("kubernetes:") and not resource.type.endswith(":Secret"):
            text = json.dumps(resource.inputs)
            assert not [secret for secret in secrets(engine) if secret in text], name


def test_the_bootstrap_key_opens_all_spaces_but_never_reaches_the_cluster(run: Run) -> None:
    engine = run()
    assert engine.inputs("spaces")["spacesSecretKey"] == "secret-of-bootstrap-key"
    for name, resource in engine.resources.items():
        if resource.type.startswith("kubernetes:"):
            assert "secret-of-bootstrap-key" not in json.dumps(resource.inputs), name


@pytest.mark.parametrize("mode", ["nodes", "pull-secrets"])
def test_the_cluster_pulls_as_the_user_who_cannot_push(run: Run, mode: str) -> None:
    engine = run({**CONFIG, **MODES[mode]})
    password = engine.outputs["password"]
    login = base64.b64encode(f"admin:{password}".encode()).decode()
    assert engine.outputs["pull_password"] != password
    for name, resource in engine.resources.items():
        if name.startswith(("nodes", "pull-secrets")):
            text = json.dumps([resource.inputs, plain(resource.outputs)])
            assert password not in text, f"{name}: whoever reads it could overwrite images"
            assert login not in text, f"{name}: whoever reads it could overwrite images"


@ALL_MODES
def test_every_pod_but_the_node_configurators_is_restricted(run: Run, mode: dict[str, Any]) -> None:
    for resource, spec in pods(run({**CONFIG, **mode})):
        if resource.inputs["kind"] == "DaemonSet":
            continue
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False, "no pod talks to the API server"
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"], "it could take the node's"


def test_a_stopping_pod_has_the_time_that_uploads_need_to_finish(run: Run) -> None:
    engine = run()
    config = engine.inputs("registry-config")["stringData"]["config.yml"]
    spec = engine.inputs("registry-deployment")["spec"]["template"]["spec"]
    (container,) = (item for item in spec["containers"] if item["name"] == "registry")
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert "draintimeout: 60s" in config
    assert spec["terminationGracePeriodSeconds"] > sleep + 60


def test_users_change_in_place_and_everything_else_rolls_the_pods(run: Run) -> None:
    engine = run()
    assert engine.inputs("registry-users")["immutable"] is False
    assert engine.inputs("registry-users")["metadata"]["name"] == "registry-users", (
        "the registry reads its users anew, so a new password needs no restart"
    )
    for name in ("registry-config", "registry-storage-key"):
        assert engine.inputs(name)["immutable"] is True
        assert "name" not in engine.inputs(name)["metadata"], "a change must change the pods"


def test_an_existing_bucket_needs_nothing_of_the_cloud(run: Run) -> None:
    engine = run({**CONFIG, "storage": S3}, token="")
    assert not [kind for kind in engine.types() if "digitalocean" in kind]


def test_a_storage_key_is_checked_before_the_registry_gets_it(run: Run) -> None:
    engine = run()
    job = engine.inputs("registry-storage-check-job")["spec"]["template"]["spec"]
    pod = engine.inputs("registry-deployment")["spec"]["template"]["spec"]
    checked = job["volumes"][0]["secret"]["secretName"]
    assert checked in [volume["secret"]["secretName"] for volume in pod["volumes"]]
    assert (
        "registry-storage-check-job"
        in engine.resources["registry-deployment"].options["dependencies"]
    )


def test_one_replica_may_always_be_moved_to_another_node(run: Run) -> None:
    assert "registry-disruption-budget" not in run().resources, "it would block a node's drain"


def test_bad_settings_are_refused_before_any_resource_is_made(run: Run) -> None:
    with pytest.raises(SettingsError, match="https://wrong"):
        run({"hostname": "https://wrong"})


def test_a_cluster_with_another_stacks_registry_is_refused(run: Run) -> None:
    theirs = {
        "kind": "Namespace",
        "metadata": {"name": "registry", "annotations": {"registry/stack": "theirs/x/prod"}},
    }
    with pytest.raises(SettingsError, match="theirs/x/prod"):
        run(cluster=[theirs])
