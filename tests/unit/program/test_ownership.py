"""What exists and is not in the state is not taken over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pulumi
import pytest

from preflight.cluster import Cluster
from preflight.errors import NotReadyError
from preflight.ownership import refuse_existing
from settings import Settings
from settings.problems import Problem

STACK = "organization/k3s-registry/dev"
SETTINGS = Settings.model_validate({"hostname": "registry.example.com"})
CLUSTER = Cluster("", ())

Create = Callable[..., None]


@pytest.fixture
def create(monkeypatch: pytest.MonkeyPatch) -> Create:
    """Return a function that does what the engine does before it creates an object."""
    callbacks: list[Callable[[pulumi.ResourceHookArgs], Coroutine[Any, Any, None]]] = []

    def hook(_: str, callback: Any, opts: pulumi.ResourceHookOptions) -> None:
        assert opts.on_dry_run, "a preview must show it, too"
        callbacks.append(callback)

    monkeypatch.setattr(pulumi, "ResourceHook", hook)
    refuse_existing(SETTINGS, CLUSTER, STACK)

    def create(kind: str = "Namespace", api_version: str = "v1", **metadata: Any) -> None:
        args = pulumi.ResourceHookArgs(
            urn="",
            id="",
            name="registry-namespace",
            type=f"kubernetes:core/v1:{kind}",
            new_inputs={"kind": kind, "apiVersion": api_version, "metadata": metadata},
        )
        asyncio.run(callbacks[0](args))

    return create


def has(monkeypatch: pytest.MonkeyPatch, *objects: tuple[str, ...], stack: str = "") -> None:
    """Put these objects into the cluster, each as group, kind, namespace and name."""

    def metadata(
        _: Cluster, kind: str, api_version: str, name: str, namespace: str
    ) -> dict[str, Any] | None:
        if (kind, api_version, namespace, name) not in objects:
            return None
        annotations = {"annotations": {"registry/stack": stack}} if stack else {}
        return {"name": name, "namespace": namespace, **annotations}

    monkeypatch.setattr(Cluster, "metadata", metadata)


NAMESPACE = ("Namespace", "v1", "", "registry")


def test_what_does_not_exist_is_created(create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, NAMESPACE)
    create(name="registry-2")
    create("Secret", name="registry", namespace="team")


@pytest.mark.parametrize(
    ("stack", "whose"),
    [
        ("", "this stack did not create it"),
        ("organization/x/prod", "the stack organization/x/prod created it"),
        (STACK, "another state of this stack, or an interrupted run, created it"),
    ],
)
def test_a_namespace_that_exists_is_refused_whatever_its_annotation_says(
    create: Create, monkeypatch: pytest.MonkeyPatch, stack: str, whose: str
) -> None:
    has(monkeypatch, NAMESPACE, stack=stack)
    with pytest.raises(pulumi.RunError) as error:
        create(name="registry")
    assert str(error.value) == (
        "the Namespace registry exists, and is not in this stack's state, or would be replaced: "
        f"{whose}\n"
        "  fix: pulumi config set namespace registry-2\n"
        "       or adopt it, to be managed and one day deleted by this stack:\n"
        "       pulumi import kubernetes:core/v1:Namespace registry-namespace registry "
        "--protect=false --generate-code=false"
    )


def test_a_pull_secret_of_another_stack_is_refused_with_its_name(
    create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    has(monkeypatch, ("Secret", "v1", "team", "registry-pull"))
    with pytest.raises(pulumi.RunError, match=r"the Secret team/registry-pull exists") as error:
        create("Secret", name="registry-pull", namespace="team")
    fix = "if nobody needs it: kubectl delete secret registry-pull --namespace=team"
    assert str(error.value).endswith(fix)


@pytest.mark.parametrize("namespace", ["registry", "registry-nodes"])
def test_what_is_in_the_registrys_namespaces_is_its_own(
    create: Create, monkeypatch: pytest.MonkeyPatch, namespace: str
) -> None:
    has(monkeypatch, ("Secret", "v1", namespace, "x"))
    create("Secret", name="x", namespace=namespace)


@pytest.mark.parametrize(
    "namespace", ["", "kube-system", "default", "registry-2", "registry-nodes-2", "monitoring"]
)
def test_what_is_anywhere_else_may_be_somebody_elses(
    create: Create, monkeypatch: pytest.MonkeyPatch, namespace: str
) -> None:
    has(monkeypatch, ("Role", "rbac.authorization.k8s.io/v1", namespace, "registry"))
    with pytest.raises(pulumi.RunError, match="registry exists, and is not in this stack's state"):
        create("Role", "rbac.authorization.k8s.io/v1", name="registry", namespace=namespace)


def test_a_cluster_that_cannot_be_asked_stops_up_but_no_preview(
    create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise NotReadyError(Problem("", "", "expected a cluster that can be asked", ""))

    monkeypatch.setattr(Cluster, "metadata", fail)
    with pytest.raises(NotReadyError):
        create(name="registry")
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    create(name="registry")


def test_objects_are_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten namespaces with pull Secrets would be ten pauses, in which nothing else goes on."""
    hooks: list[Any] = []
    monkeypatch.setattr(pulumi, "ResourceHook", lambda _name, hook, _opts: hooks.append(hook))
    refuse_existing(SETTINGS, CLUSTER, STACK)
    together = threading.Barrier(3, timeout=60)

    def metadata(*_: object) -> None:
        together.wait()

    monkeypatch.setattr(Cluster, "metadata", metadata)
    args = pulumi.ResourceHookArgs(
        *("", "", "", ""),
        new_inputs={"kind": "Secret", "apiVersion": "v1", "metadata": {"namespace": "team"}},
    )

    async def program() -> None:
        await asyncio.gather(*(hooks[0](args) for _ in range(3)))

    asyncio.run(program())


def test_objects_are_watched_but_patches_and_other_providers_resources(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pulumi, "ResourceHook", lambda *_: "hook")
    add_hook = refuse_existing(SETTINGS, CLUSTER, STACK)

    def hooks(type_: str) -> Any:
        resource: Any = None
        opts = pulumi.ResourceOptions(protect=True)
        args = pulumi.ResourceTransformationArgs(resource, type_, "x", {}, opts)
        result = add_hook(args)
        assert result is None or result.opts.protect, "other options stay"
        return result.opts.hooks if result else None

    assert hooks("kubernetes:core/v1:Secret").before_create == ["hook"]
    assert not hooks("kubernetes:core/v1:ServiceAccountPatch")
    assert not hooks("random:index/randomString:RandomString")
    assert not hooks("pulumi:providers:kubernetes")
