"""What must hold for all that the program registers, in every mode: the goldens do not say why."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.credentials import fingerprint
from tests.unit.program.conftest import CONFIG, Run, refusal
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
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"]["drop"] == ["ALL"]
            assert set(context["capabilities"].get("add", [])) <= {"NET_BIND_SERVICE"}
            assert "memory" in container["resources"]["limits"], "it could take the node's"


def test_a_stopping_pod_has_the_time_that_uploads_need_to_finish(run: Run) -> None:
    spec = run().inputs("registry-deployment")["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] > 60
    for registry in spec["initContainers"]:
        assert registry["restartPolicy"] == "Always", "only a sidecar outlives the auth proxy"


def test_users_change_in_place_and_everything_else_rolls_the_pods(run: Run) -> None:
    engine = run()
    assert engine.inputs("registry-auth-proxy")["immutable"] is False
    assert engine.inputs("registry-auth-proxy")["metadata"]["name"] == "registry-auth-proxy", (
        "the auth proxy reads its users anew, so a new password needs no restart"
    )
    for name in ("registry-config", "registry-storage-key"):
        assert engine.inputs(name)["immutable"] is True
        assert "name" not in engine.inputs(name)["metadata"], "a change must change the pods"


@ALL_MODES
def test_nothing_reaches_the_registries_but_the_auth_proxy(run: Run, mode: dict[str, Any]) -> None:
    engine = run({**CONFIG, **mode})
    configs = engine.inputs("registry-config")["stringData"]
    spec = engine.inputs("registry-deployment")["spec"]["template"]["spec"]
    addresses: list[str] = []
    for registry in spec["initContainers"]:
        assert "ports" not in registry
        text = configs[Path(registry["command"][-1]).name]
        addresses += re.findall(r"addr: (.+)", text)
    assert {x.rpartition(":")[0] for x in addresses} == {"127.0.0.1"}
    assert len(set(addresses)) == len(addresses), "they share one network"


@ALL_MODES
def test_no_pod_may_ask_a_cloud_for_credentials(run: Run, mode: dict[str, Any]) -> None:
    engine = run({**CONFIG, **mode})
    for name, resource in engine.resources.items():
        if resource.type.endswith(":NetworkPolicy"):
            for rule in resource.inputs["spec"].get("egress", []):
                for peer in rule["to"]:
                    block = peer.get("ipBlock", {})
                    if "/0" in block.get("cidr", ""):
                        assert block["except"][0] in {"169.254.0.0/16", "fe80::/10"}, name


@ALL_MODES
def test_every_object_of_the_cluster_is_guarded(run: Run, mode: dict[str, Any]) -> None:
    for name, resource in run({**CONFIG, **mode}).resources.items():
        object_ = resource.type.startswith("kubernetes:") and not resource.type.endswith("Patch")
        guards = [hook for hook in resource.hooks.get("beforeCreate", []) if "exist" in hook]
        assert len(guards) == object_, name


def test_what_the_smoke_tests_password_follows_changes_with_any_password_and_right() -> None:
    users = [
        fingerprint([("ann", ["a"], ["b"])], ["hash"]),
        fingerprint([("bob", ["a"], ["b"])], ["hash"]),
        fingerprint([("ann", ["b"], ["b"])], ["hash"]),
        fingerprint([("ann", ["a"], ["a"])], ["hash"]),
        fingerprint([("ann", ["a"], ["b"])], ["another"]),
    ]
    assert len(set(users)) == len(users)
    assert users[0] == fingerprint([("ann", ["a"], ["b"])], ["hash"])


def test_the_smoke_tests_secret_opens_one_repository_only(run: Run) -> None:
    engine = run()
    password = engine.inputs("smoke-test-login")["stringData"]["password"]
    assert password == engine.resources["credentials-smoke-test"].state["result"]
    assert password not in {engine.outputs["password"], engine.outputs["pull_password"]}


def test_an_existing_bucket_needs_nothing_of_the_cloud(run: Run) -> None:
    engine = run({**CONFIG, "storage": S3}, token="")
    assert not [kind for kind in engine.types() if "digitalocean" in kind]


def test_a_storage_key_is_checked_before_the_registry_gets_it(run: Run) -> None:
    engine = run()
    job = engine.inputs("registry-storage-check-job")["spec"]["template"]["spec"]
    pod = engine.inputs("registry-deployment")["spec"]["template"]["spec"]
    checked = job["volumes"][0]["secret"]["secretName"]
    assert checked in [x["secret"]["secretName"] for x in pod["volumes"] if "secret" in x]
    assert (
        "registry-storage-check-job"
        in engine.resources["registry-deployment"].options["dependencies"]
    )


def test_one_replica_may_always_be_moved_to_another_node(run: Run) -> None:
    assert "registry-disruption-budget" not in run().resources, "it would block a node's drain"


def test_bad_settings_are_refused_before_any_resource_is_made(run: Run) -> None:
    assert "https://wrong" in refusal(run, config={"hostname": "https://wrong"})


def test_the_login_line_is_the_first_output_and_only_the_readme_has_more_than_a_line(
    run: Run,
) -> None:
    outputs = run().stack.outputs or {}
    assert min(outputs) == "login", "the engine sorts them"
    shown = {name: visible(value) for name, value in outputs.items()}
    assert [name for name, value in shown.items() if "\n" in str(value)] == ["readme"]
