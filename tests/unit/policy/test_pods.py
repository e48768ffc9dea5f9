"""What no pod may do, each with a pod that does it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from policy.pods import EXPECTED
from tests.unit.policy.analyzer import UNKNOWN, refused_object

CONFIGURATOR = "registry:index:NodeConfigurator"
POD: dict[str, Any] = {
    "automountServiceAccountToken": False,
    "containers": [{"name": "main", "image": "a:1", "securityContext": EXPECTED}],
}


def changed(path: str, value: object) -> dict[str, Any]:
    """Return a pod with one property changed; None removes it."""
    pod = copy.deepcopy(POD)
    *parents, last = path.split(".")
    part: Any = pod
    for name in parents:
        part = part[0] if name == "0" else part.setdefault(name, {})
    if value is None:
        del part[last]
    else:
        part[last] = value
    return pod


def deployment(spec: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"template": {"spec": spec}}}


def test_the_context_that_the_program_and_the_pack_share_is_the_restricted_one() -> None:
    """And beyond that standard nobody is root of a group, or writes into an image."""
    assert {
        "runAsNonRoot": True,
        **dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"), 65532),
        "seccompProfile": {"type": "RuntimeDefault"},
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    } == EXPECTED


def test_a_restricted_pod_passes() -> None:
    assert refused_object("Pod", {"spec": POD}) == {}


CONTEXT = "containers.0.securityContext"
BREACHES = [
    ("hostNetwork", True, "hostNetwork"),
    ("hostPID", True, "hostPID"),
    ("hostIPC", True, "hostIPC"),
    ("automountServiceAccountToken", None, "automountServiceAccountToken"),
    ("volumes", [{"name": "node", "hostPath": {"path": "/"}}], "hostPath"),
    ("volumes", [{"name": "share", "nfs": {"server": "a"}}], "nfs"),
    ("containers.0.ports", [{"containerPort": 80, "hostPort": 80}], "hostPort"),
    (CONTEXT, None, "runAsNonRoot"),
    (f"{CONTEXT}.runAsNonRoot", False, "runAsNonRoot"),
    (f"{CONTEXT}.runAsUser", 0, "runAsUser"),
    (f"{CONTEXT}.allowPrivilegeEscalation", True, "allowPrivilegeEscalation"),
    (f"{CONTEXT}.readOnlyRootFilesystem", None, "readOnlyRootFilesystem"),
    (f"{CONTEXT}.seccompProfile", {"type": "Unconfined"}, "seccompProfile"),
    (f"{CONTEXT}.privileged", True, "privileged"),
    (f"{CONTEXT}.capabilities", {}, "capabilities"),
    (f"{CONTEXT}.capabilities", {"drop": ["ALL"], "add": ["SYS_CHROOT"]}, "capabilities"),
    ("securityContext.sysctls", [{"name": "a", "value": "b"}], "sysctls"),
    ("initContainers", [{"name": "first", "image": "a:1"}], "container first"),
    ("ephemeralContainers", [{"name": "debug", "image": "a:1"}], "container debug"),
]


@pytest.mark.parametrize(("path", "value", "named"), BREACHES)
def test_each_right_beyond_the_restricted_ones_is_refused(
    path: str, value: object, named: str
) -> None:
    pod = changed(path, value)
    for kind, inputs in (
        ("Pod", {"spec": pod}),
        ("Deployment", deployment(pod)),
        ("DaemonSet", deployment(pod)),
        ("CronJob", {"spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}}),
        ("PodTemplate", {"template": {"spec": pod}}),
    ):
        (problem, *_) = refused_object(kind, inputs)["restricted-pods"]
        assert named in problem


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("hostNetwork", False),
        (f"{CONTEXT}.capabilities", {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}),
        *(
            ("volumes", [{"name": "a", kind: {}}])
            for kind in (
                *("configMap", "downwardAPI", "emptyDir"),
                *("persistentVolumeClaim", "projected", "secret"),
            )
        ),
    ],
)
def test_what_the_restricted_standard_allows_passes(path: str, value: object) -> None:
    assert refused_object("Pod", {"spec": changed(path, value)}) == {}


def test_a_container_inherits_the_context_of_its_pod_unless_it_has_its_own() -> None:
    pod = {**POD, "securityContext": EXPECTED, "containers": [{"name": "main", "image": "a:1"}]}
    assert refused_object("Pod", {"spec": pod}) == {}
    pod["containers"][0]["securityContext"] = {"runAsUser": 0}
    assert "restricted-pods" in refused_object("Pod", {"spec": pod})


ROOT = [
    ("volumes", [{"name": "node", "hostPath": {"path": "/"}}]),
    (f"{CONTEXT}.runAsUser", 0),
    (f"{CONTEXT}.runAsGroup", 0),
    (f"{CONTEXT}.runAsNonRoot", False),
    (f"{CONTEXT}.capabilities", {"drop": ["ALL"], "add": ["SYS_CHROOT"]}),
]


@pytest.mark.parametrize(("path", "value"), ROOT)
def test_only_the_node_configurator_may_write_on_nodes(path: str, value: object) -> None:
    pod = deployment(changed(path, value))
    assert refused_object("DaemonSet", pod, parent=CONFIGURATOR) == {}
    assert "restricted-pods" in refused_object("DaemonSet", pod, parent="registry:index:Registry")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("hostNetwork", True),
        (f"{CONTEXT}.privileged", True),
        (f"{CONTEXT}.capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
        (f"{CONTEXT}.runAsUser", 1),
    ],
)
def test_the_node_configurator_may_do_nothing_else(path: str, value: object) -> None:
    pod = deployment(changed(path, value))
    assert "restricted-pods" in refused_object("DaemonSet", pod, parent=CONFIGURATOR)


@pytest.mark.parametrize("image", ["a", "a:latest", "a@sha256:00", None])
def test_an_image_that_may_change_is_refused(image: str | None) -> None:
    pod = changed("containers.0.image", image)
    assert list(refused_object("Pod", {"spec": pod})) == ["pinned-images"]
    pod["containers"].insert(0, {**pod["containers"][0], "image": UNKNOWN})
    assert list(refused_object("Pod", {"spec": pod})) == ["pinned-images"]


def test_a_namespace_that_admits_any_pod_is_refused() -> None:
    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    namespace = {"metadata": {"labels": labels}}
    assert list(refused_object("Namespace", namespace)) == ["restricted-namespaces"]
    assert list(refused_object("Namespace", {"metadata": {}})) == ["restricted-namespaces"]
    assert refused_object("Namespace", namespace, parent=CONFIGURATOR) == {}
    labels["pod-security.kubernetes.io/enforce"] = "restricted"
    assert refused_object("Namespace", namespace) == {}


TOKEN = {
    **POD,
    "volumes": [{"name": "api", "projected": {"sources": [{"serviceAccountToken": {}}]}}],
    "initContainers": [{**POD["containers"][0], "volumeMounts": [{"name": "api"}]}],
}


@pytest.mark.parametrize("component", [CONFIGURATOR, "registry:index:AcmeClient"])
def test_an_api_token_is_for_the_init_containers_of_those_who_need_one(component: str) -> None:
    """The ACME client's other container faces the Internet, and the configurator's lasts."""
    assert refused_object("DaemonSet", deployment(TOKEN), parent=component) == {}
    other = refused_object("DaemonSet", deployment(TOKEN), parent="registry:index:Registry")
    assert other == {"restricted-pods": ["volumes: expected no API token"]}
    mounted = {**POD["containers"][0], "volumeMounts": [{"name": "x"}, {"name": "api"}]}
    outside = deployment({**TOKEN, "containers": [mounted]})
    assert refused_object("DaemonSet", outside, parent=component) == {
        "restricted-pods": ["container main: volumeMounts: expected no API token"]
    }


@pytest.mark.parametrize("component", ["Maintenance", "Scan"])
def test_what_listens_nowhere_has_an_api_token_where_it_runs(component: str) -> None:
    """An init container of the maintenance would be one that nobody has looked at; that of the scan
    is of an image that was attacked before.
    """
    mounted = [{**POD["containers"][0], "volumeMounts": [{"name": "api"}]}]
    pod = {**TOKEN, "initContainers": [], "containers": mounted}
    parent = f"registry:index:{component}"
    assert refused_object("DaemonSet", deployment(pod), parent=parent) == {}
    assert refused_object("DaemonSet", deployment(TOKEN), parent=parent) == {
        "restricted-pods": ["container main: volumeMounts: expected no API token"]
    }


@pytest.mark.parametrize(("path", "value", "named"), BREACHES)
def test_an_unknown_property_hides_no_breach_beside_it(
    path: str, value: object, named: str
) -> None:
    pod = changed(path, value)
    pod["nodeName"] = UNKNOWN
    pod["containers"].append(UNKNOWN)
    pod["containers"][0]["image"] = UNKNOWN
    (problem, *_) = refused_object("Deployment", deployment(pod))["restricted-pods"]
    assert named in problem


@pytest.mark.parametrize(
    "path", ["securityContext", "containers", "volumes", "hostNetwork", CONTEXT]
)
def test_what_a_preview_does_not_know_is_left_to_up(path: str) -> None:
    assert refused_object("Pod", {"spec": changed(path, UNKNOWN)}) == {}
