"""What is left behind by a changed setting is compared before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pytest

from preflight.cluster import Cluster
from preflight.conflicts import Served
from preflight.errors import NotReadyError
from preflight.record import comparison
from settings import Settings, load
from settings.place import place
from settings.problems import Problem, SettingsError
from tests.unit.conftest import Golden
from tests.unit.program.conftest import CONFIG, PROJECT, Run, refusal
from tests.unit.program.modes import S3

SETTINGS, ACCESS = load(
    config={f"{PROJECT}:hostname": "registry.example.com"},
    secret_keys=frozenset(),
    environment={"DIGITALOCEAN_TOKEN": "token"},
    project=PROJECT,
)
SPACE = place(SETTINGS.storage, ACCESS.spaces_endpoint)
OTHER_SPACE = {**SPACE, "region": "fra1"}
RECORDED: dict[str, Any] = {
    "storage": SPACE,
    "namespace": "registry",
    "rotation": 1,
    "nodes": False,
}

BY_PULUMI = {"managedFields": [{"manager": "pulumi-kubernetes-0a1b2c3d"}]}
BY_KUBECTL = {"managedFields": [{"manager": "kubectl-create"}]}
BY_A_SCRIPT = {"managedFields": [{"manager": "Python-urllib"}]}


def compare(old: dict[str, Any], namespace: str = "registry", served: Sequence[str] = ()) -> None:
    settings = Settings.model_validate({**CONFIG, "namespace": namespace})
    others = [Served(x, Problem("hostname", "", f"{x} serves it", "")) for x in served]
    comparison(settings, ACCESS, Cluster("", ()), others)(old)


@pytest.mark.usefixtures("contents")
def test_only_the_namespace_that_this_state_leaves_may_serve_the_hostname() -> None:
    compare(RECORDED, "images", ["registry"])
    with pytest.raises(SettingsError, match="shop serves it"):
        compare(RECORDED, "images", ["registry", "shop"])


@pytest.fixture
def contents(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """The metadata of what is in the old namespace, by kind and name, for a test to fill."""
    objects: dict[str, dict[str, Any]] = {}

    def listed(_: Cluster, namespace: str, kinds: str) -> list[tuple[str, dict[str, Any]]]:
        assert namespace == "registry"
        assert kinds.split(",") == [
            *("secrets", "configmaps", "persistentvolumeclaims", "services", "deployments.apps"),
            *("statefulsets.apps", "daemonsets.apps", "jobs.batch", "cronjobs.batch"),
            "ingresses.networking.k8s.io",
        ]
        split = {name: name.split("/") for name in objects}
        return [(kind, {"name": name, **objects[key]}) for key, (kind, name) in split.items()]

    monkeypatch.setattr(Cluster, "contents", listed)
    return objects


def test_what_stays_in_its_place_is_no_problem() -> None:
    compare(RECORDED, "registry")


def test_another_place_of_the_images_is_refused() -> None:
    with pytest.raises(SettingsError, match="the images are in"):
        compare({**RECORDED, "storage": OTHER_SPACE}, "registry")


def test_images_that_were_copied_may_be_left_where_they_were() -> None:
    moved = "https://nyc3.digitaloceanspaces.com/registry-*"
    settings = Settings.model_validate({**CONFIG, "storage": {**S3, "movedFrom": moved}})
    before = {**RECORDED, "storage": {**SPACE, "onDestroy": "retain"}}
    comparison(settings, ACCESS, Cluster("", ()), [])(before)


def test_a_namespace_with_what_people_created_is_not_replaced(
    contents: dict[str, dict[str, Any]], golden: Golden
) -> None:
    contents |= {
        "Secret/registry-tls": BY_KUBECTL,
        "Secret/registry-users": BY_PULUMI,
        "ConfigMap/notes": {},
    }
    with pytest.raises(SettingsError) as error:
        compare(RECORDED, "images")
    golden("record.txt", str(error.value))


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("Secret/any", BY_PULUMI),
        ("Secret/any", {"ownerReferences": [{"kind": "Deployment"}]}),
        (
            "Secret/any",
            {"annotations": {"cert-manager.io/certificate-name": "registry"}, **BY_KUBECTL},
        ),
        ("ConfigMap/kube-root-ca.crt", {}),
        ("Secret/registry-acme", BY_A_SCRIPT),
    ],
)
def test_a_namespace_with_nothing_but_what_is_created_anew_is_replaced(
    contents: dict[str, dict[str, Any]], name: str, metadata: dict[str, Any]
) -> None:
    contents[name] = metadata
    compare(RECORDED, "images")


def without(key: str) -> dict[str, Any]:
    """Return the record of a version that did not have a key."""
    return {name: value for name, value in RECORDED.items() if name != key}


@pytest.mark.usefixtures("contents")
def test_a_namespace_is_not_renamed_while_nodes_may_have_entries_with_its_name(
    golden: Golden,
) -> None:
    messages = []
    for recorded in ({**RECORDED, "nodes": True}, without("nodes")):
        compare(recorded)
        with pytest.raises(SettingsError) as error:
            compare(recorded, "images")
        messages.append(str(error.value))
    golden("record-nodes.txt", "\n\n".join(messages))


def test_whether_nodes_are_configured_is_recorded(run: Run) -> None:
    configured = run({**CONFIG, "nodes": {"configure": True}})
    assert configured.inputs("record")["input"] == {**RECORDED, "nodes": True}


@pytest.mark.parametrize("preview", [True, False])
def test_a_cluster_that_cannot_be_asked_stops_the_update_only(
    monkeypatch: pytest.MonkeyPatch, preview: bool
) -> None:
    def fails(*_: object) -> None:
        raise NotReadyError(Problem("kubernetes:kubeconfig", "", "no response", ""))

    monkeypatch.setattr(Cluster, "contents", fails)
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: preview)
    if preview:
        compare(RECORDED, "images")
    else:
        with pytest.raises(NotReadyError):
            compare(RECORDED, "images")


def test_an_older_generation_of_passwords_is_refused_and_a_newer_one_is_not() -> None:
    compare({**RECORDED, "rotation": 1})
    compare(without("rotation"))
    with pytest.raises(SettingsError) as refused:
        compare({**RECORDED, "rotation": 2})
    expected = "the passwords are of generation 2: an older one would end the current logins"
    problem = Problem("rotation", "1", expected, "pulumi config set rotation 2")
    assert refused.value.problems == [problem]


def test_the_engine_compares_before_it_updates_the_record_in_previews_too(run: Run) -> None:
    assert run().resources["record"].hooks == {"beforeUpdate": ["compare-record"]}
    assert run().in_previews["compare-record"]
    assert run().inputs("record")["input"] == RECORDED


def test_the_engine_compares_the_settings_with_what_the_state_had(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions: dict[str, Any] = {}

    class Hook(pulumi.ResourceHook):
        def __init__(self, name: str, func: Any, opts: Any = None) -> None:
            functions[name] = func
            super().__init__(name, func, opts)

    monkeypatch.setattr(pulumi, "ResourceHook", Hook)
    monkeypatch.setattr(Cluster, "contents", lambda *_: [("Secret", {"name": "mine"})])
    run(environment={"OF": "a program whose hooks are called"})
    assert functions.keys() == {"compare-record", "must-not-exist"}

    def compared(**changes: Any) -> None:
        inputs = {"input": RECORDED | changes}
        functions["compare-record"](pulumi.ResourceHookArgs("", "", "", "", old_inputs=inputs))

    compared()
    with pytest.raises(SettingsError, match="the images are in"):
        compared(storage=OTHER_SPACE)
    with pytest.raises(SettingsError, match="did not create there: Secret/mine"):
        compared(namespace="before")


def test_nothing_is_touched_before_the_record_is_compared(run: Run) -> None:
    assert "record" in run().resources["cluster"].options["dependencies"]


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("record", {"input": {**RECORDED, "storage": OTHER_SPACE}}),
        ("storage-bucket", {"region": "fra1"}),
        ("storage-bucket", {"name": "acme-12345678"}),
    ],
)
def test_a_record_or_a_space_that_differs_from_the_settings_stops_the_program(
    run: Run, name: str, state: dict[str, Any]
) -> None:
    assert "the images are in" in refusal(run, state={name: state})


def test_a_space_that_differs_is_refused_with_the_command_that_records_it(run: Run) -> None:
    message = refusal(run, state={"storage-bucket": {"region": "fra1"}})
    urn = "urn:pulumi:dev::k3s-registry::pulumi:index:Stash::record"
    assert f"&& pulumi up --replace '{urn}'\n" in message
