"""What must hold for all that the program registers, in every mode: the goldens do not say why."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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


def test_the_bootstrap_key_creates_the_space(run: Run) -> None:
    assert run().inputs("spaces")["spacesSecretKey"] == "secret-of-bootstrap-key"


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
def test_no_container_can_take_all_memory_of_its_node(run: Run, mode: dict[str, Any]) -> None:
    for resource, spec in pods(run({**CONFIG, **mode})):
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            assert "memory" in container["resources"]["limits"], resource.urn


def test_a_stopping_pod_has_the_time_that_uploads_need_to_finish(run: Run) -> None:
    spec = run().inputs("registry-deployment")["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] > 60
    for registry in spec["initContainers"]:
        assert registry["restartPolicy"] == "Always", "only a sidecar outlives the auth proxy"


def pod_template(engine: Engine) -> dict[str, Any]:
    template: dict[str, Any] = engine.inputs("registry-deployment")["spec"]["template"]
    return template


def test_a_rollout_spreads_its_own_pods_and_waits_for_no_node(run: Run) -> None:
    """Pods of before count, too, unless they are told apart: then both new ones were on one node.

    tests/sandbox/test_two_nodes.py sees them on both.
    """
    spec = pod_template(run({**CONFIG, "registry": {"replicas": 2}}))["spec"]
    (spread,) = spec["topologySpreadConstraints"]
    assert spread["matchLabelKeys"] == ["pod-template-hash"]
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway", "one node may be full, or off"


def test_a_pod_leaves_a_lost_node_ten_times_sooner_than_by_default(run: Run) -> None:
    """Kubernetes would add 300 s for either taint that has no toleration here."""
    tolerations = pod_template(run())["spec"]["tolerations"]
    assert {(x["key"], x["effect"], x["tolerationSeconds"]) for x in tolerations} == {
        ("node.kubernetes.io/not-ready", "NoExecute", 30),
        ("node.kubernetes.io/unreachable", "NoExecute", 30),
    }


@pytest.mark.parametrize(
    "change",
    [
        {"users": {"ci": {"push": ["team-a/*"]}}},
        {"rotation": 2},
        {"registry": {"readOnly": True}},
    ],
)
def test_users_change_in_place(run: Run, change: dict[str, Any]) -> None:
    """Uploads go on; the new password of the smoke test shows when every pod knows the change."""
    before, after = run(), run({**CONFIG, **change})
    for engine in (before, after):
        assert engine.inputs("registry-auth-proxy")["immutable"] is False
        assert engine.inputs("registry-auth-proxy")["metadata"]["name"] == "registry-auth-proxy"
    assert before.inputs("registry-auth-proxy") != after.inputs("registry-auth-proxy")
    assert pod_template(before) == pod_template(after)


@pytest.mark.parametrize(
    "change",
    [
        {"ingress": {"tcpRoute": False}},
        {"tls": {"mode": "none"}},
        {"registry": {"parallelUploads": 4}},
        {"monitoring": {"enabled": True, "namespace": "prometheus"}},
    ],
)
def test_another_change_of_the_auth_proxy_rolls_the_pods(run: Run, change: dict[str, Any]) -> None:
    """Running pods would read it a minute and a half later, and `up` would have ended by then.

    Traefik would speak the PROXY protocol to a proxy that does not know it yet.
    """
    before, after = run(), run({**CONFIG, **change})
    assert before.inputs("registry-auth-proxy") != after.inputs("registry-auth-proxy")
    assert pod_template(before)["metadata"] != pod_template(after)["metadata"]


def test_each_rollout_is_tested(run: Run) -> None:
    jobs = [
        run(state={"registry-deployment": {"metadata": {"name": "x", "generation": generation}}})
        for generation in (1, 2)
    ]
    specs = [engine.inputs("smoke-test-job")["spec"] for engine in jobs]
    assert specs[0] != specs[1]


def test_what_the_registry_reads_when_it_starts_rolls_the_pods(run: Run) -> None:
    engine = run()
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
def test_every_object_of_the_cluster_is_guarded(run: Run, mode: dict[str, Any]) -> None:
    for name, resource in run({**CONFIG, **mode}).resources.items():
        object_ = resource.type.startswith("kubernetes:") and not resource.type.endswith("Patch")
        guards = [hook for hook in resource.hooks.get("beforeCreate", []) if "exist" in hook]
        assert len(guards) == object_, name


def test_the_smoke_tests_password_changes_with_any_password_and_right(run: Run) -> None:
    """Once every pod of the registry lets it in, every pod knows all of them."""
    changes: list[dict[str, Any]] = [
        {},
        {"users": {"ann": {"push": ["a"]}}},
        {"users": {"bob": {"push": ["a"]}}},
        {"users": {"ann": {"push": ["b"]}}},
        {"users": {"ann": {"pull": ["a"]}}},
        {"users": {"ann": {"pull": ["a"], "until": "2099-12-31"}}},
        {"adminUser": "ann"},
        {"rotation": 2},
        {"registry": {"readOnly": True}},
    ]
    keepers = [
        run({**CONFIG, **change}).inputs("credentials-smoke-test")["keepers"]["users"]
        for change in changes
    ]
    assert len(set(keepers)) == len(changes)


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


def test_a_space_is_refused_by_where_it_is_and_not_by_where_it_should_be(run: Run) -> None:
    """The commands of the refusal lead back to the images."""
    message = refusal(run, state={"storage-bucket": {"region": "fra1"}})
    assert "the images are in https://fra1.digitaloceanspaces.com/" in message
    assert "pulumi config set --path storage.region fra1 && " in message


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
