"""What is left behind by a changed setting is compared before anything is changed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pulumi
import pytest

from preflight.cluster import Cluster
from preflight.errors import NotReadyError
from preflight.record import refuse_losses
from preflight.routers import Served
from settings import Settings, load
from settings.problems import Problem, SettingsError
from settings.storage_place import place
from tests.unit.conftest import Golden
from tests.unit.program import conftest
from tests.unit.program.conftest import CLUSTER_UID, CONFIG, PROJECT, Run, refusal
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
    "hostname": CONFIG["hostname"],
    "namespace": "registry",
    "rotation": 1,
    "nodes": False,
}

BY_PULUMI = {"managedFields": [{"manager": "pulumi-kubernetes-0a1b2c3d"}]}
BY_KUBECTL = {"managedFields": [{"manager": "kubectl-create"}]}
BY_A_SCRIPT = {"managedFields": [{"manager": "Python-urllib"}]}


def compare(
    old: dict[str, Any] | None, namespace: str = "registry", served: Sequence[str] = ()
) -> None:
    settings = Settings.model_validate({**CONFIG, "namespace": namespace})
    refuse_losses(settings, ACCESS, Cluster("", ()), serving(*served), old)


def serving(*namespaces: str) -> list[Served]:
    """Return what serves the hostname from namespaces of stacks with this one's name."""
    return [Served(x, Problem("hostname", "", f"{x} serves it", "")) for x in namespaces]


@pytest.mark.usefixtures("contents")
def test_only_the_namespace_that_this_state_leaves_may_serve_the_hostname() -> None:
    compare(RECORDED, "images", ["registry"])
    with pytest.raises(SettingsError, match="shop serves it"):
        compare(RECORDED, "images", ["registry", "shop"])


@pytest.mark.parametrize("old", [None, {**RECORDED, "hostname": "before.example.com"}])
def test_a_new_hostname_is_nobody_elses(old: dict[str, Any] | None) -> None:
    compare(old, served=[])
    with pytest.raises(SettingsError, match="shop serves it"):
        compare(old, served=["shop"])


def test_a_renaming_that_was_interrupted_goes_on_while_both_namespaces_serve() -> None:
    """The record has the new name already, and the state still has to delete the old namespace."""
    compare({**RECORDED, "namespace": "images"}, "images", ["registry"])


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


def test_images_that_were_copied_may_be_left_where_they_were() -> None:
    moved = "https://nyc3.digitaloceanspaces.com/registry-*"
    settings = Settings.model_validate({**CONFIG, "storage": {**S3, "movedFrom": moved}})
    before = {**RECORDED, "storage": {**SPACE, "onDestroy": "retain"}}
    refuse_losses(settings, ACCESS, Cluster("", ()), [], before)


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


@pytest.mark.usefixtures("contents")
def test_a_namespace_is_not_renamed_while_nodes_have_entries_with_its_name(golden: Golden) -> None:
    recorded = {**RECORDED, "nodes": True}
    compare(recorded)
    with pytest.raises(SettingsError) as error:
        compare(recorded, "images")
    golden("record-nodes.txt", str(error.value))


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
    with pytest.raises(SettingsError) as refused:
        compare({**RECORDED, "rotation": 2})
    expected = "the passwords are of generation 2: an older one would end the current logins"
    problem = Problem("rotation", "1", expected, "pulumi config set rotation 2")
    assert refused.value.problems == [problem]


def test_the_engine_compares_before_it_writes_the_record_in_previews_too(run: Run) -> None:
    hooks = {when: ["compare-record"] for when in ("beforeCreate", "beforeUpdate")}
    assert run().resources["record"].hooks == hooks
    assert run().in_previews["compare-record"]
    assert run().inputs("record")["input"] == RECORDED


Hook = Callable[..., Coroutine[Any, Any, None]]


@pytest.fixture
def compare_record(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Hook]:
    """Return a function that returns the hook of a program with some settings.

    The hook takes what the state had, and no argument where the state has no record.
    """

    def of(served: Sequence[str] = (), **changed: Any) -> Hook:
        functions: dict[str, Any] = {}

        class Recorder(pulumi.ResourceHook):
            def __init__(self, name: str, func: Any, opts: Any = None) -> None:
                functions[name] = func
                super().__init__(name, func, opts)

        monkeypatch.setattr(pulumi, "ResourceHook", Recorder)
        monkeypatch.setattr(conftest, "_check", lambda *_: (CLUSTER_UID, serving(*served)))
        Run()({**CONFIG, **changed})
        assert functions.keys() == {"compare-record", "must-not-exist"}

        async def hook(**old: Any) -> None:
            inputs = {"input": RECORDED | old} if old else None
            args = pulumi.ResourceHookArgs("", "", "", "", old_inputs=inputs)
            await functions["compare-record"](args)

        return hook

    return of


@pytest.mark.usefixtures("contents")
@pytest.mark.parametrize(
    ("changed", "old", "refused"),
    [
        ({}, {"storage": OTHER_SPACE}, "the images are in"),
        ({"hostname": "b.example.com"}, {"hostname": "a.example.com"}, ""),
        ({"namespace": "images"}, {"namespace": "registry"}, ""),
        ({"namespace": "images"}, {"namespace": "registry", "nodes": True}, "entries would stay"),
        ({"rotation": 2}, {"rotation": 1}, ""),
        ({"rotation": 1}, {"rotation": 2}, "an older one would end the current logins"),
        ({"nodes": {"configure": True}}, {"nodes": False}, ""),
        ({"nodes": {"configure": False}}, {"nodes": True}, ""),
    ],
)
def test_what_the_state_had_is_compared_with_what_differs_now(
    compare_record: Callable[..., Hook], changed: dict[str, Any], old: dict[str, Any], refused: str
) -> None:
    """The namespace that is left serves the hostname until it is gone."""
    hook = compare_record(["registry"] if "namespace" in changed else [], **changed)
    if refused:
        with pytest.raises(SettingsError, match=refused):
            asyncio.run(hook(**old))
    else:
        asyncio.run(hook(**old))


def test_the_state_of_another_stack_of_this_name_keeps_its_hostname(
    compare_record: Callable[..., Hook],
) -> None:
    hook = compare_record(["shop"])
    with pytest.raises(SettingsError, match="shop serves it"):
        asyncio.run(hook())


def test_the_namespace_that_is_left_is_asked_for_beside_everything_else(
    compare_record: Callable[..., Hook], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster may take ten seconds to respond, and the engine waits for no other resource."""
    asked = threading.Event()

    def contents(*_: object) -> list[tuple[str, dict[str, Any]]]:
        assert asked.wait(60), "the event loop stands still"
        return [("Secret", {"name": "mine"})]

    monkeypatch.setattr(Cluster, "contents", contents)
    hook = compare_record(namespace="images")

    async def program() -> None:
        asking = asyncio.create_task(hook(namespace="registry"))
        await asyncio.sleep(0)
        asked.set()
        with pytest.raises(SettingsError, match="did not create there: Secret/mine"):
            await asking

    asyncio.run(program())


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
