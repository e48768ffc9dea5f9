"""Nodes and namespaces that pull, as the program wires them, against mocks."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from tests.unit.program.conftest import CONFIG, Run
from tests.unit.program.engine import Secret

PASSWORD = "credentialspull00000000000000000"
CONFIGURED = {**CONFIG, "nodes": {"mirrorPrefix": "example.com", "configure": True}}
TWO = {**CONFIG, "pullSecrets": {"namespaces": ["a", "b"]}}


def test_nodes_configure_themselves_only_if_the_setting_says_so(run: Run) -> None:
    assert not [name for name in run().resources if name.startswith("nodes-")], (
        "nobody's k3s is restarted unasked"
    )


def test_the_settings_reach_the_files(run: Run) -> None:
    settings = {"mirrorPrefix": "example.com", "overrideDockerIo": True, "caFile": "/ca.pem"}
    outputs = run({**CONFIG, "nodes": settings}).outputs
    content = yaml.safe_load(outputs["registries_yaml"])
    assert list(content["mirrors"]) == ["example.com", "docker.io"]
    assert content["configs"]["registry.example.com"] == {
        "auth": {"username": "pull", "password": PASSWORD},
        "tls": {"ca_file": "/ca.pem"},
    }
    files = yaml.safe_load(outputs["cloud_init"])["write_files"]
    assert [file["path"] for file in files] == [
        "/etc/rancher/k3s/registries.yaml",
        "/etc/rancher/k3s/config.yaml.d/90-registry-nodes.yaml",
    ]
    assert files[0]["content"] == outputs["registries_yaml"]


def test_the_marks_name_the_registry_whose_entries_they_are(run: Run) -> None:
    outputs = run({**CONFIG, "namespace": "second"}).outputs
    assert outputs["registries_yaml"].startswith("# BEGIN second-nodes ")


def test_it_is_root_on_the_node_and_nothing_beyond(run: Run) -> None:
    pod = run(CONFIGURED).inputs("nodes-configurator-daemon-set")["spec"]["template"]["spec"]
    (configure,) = pod["initContainers"]
    assert configure["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["SYS_CHROOT"]}
    for right in ("privileged", "hostPID", "hostNetwork", "hostIPC"):
        assert right not in json.dumps(pod), f"{right} is not needed"
    assert pod["tolerations"] == [{"operator": "Exists"}], "every node pulls"


def test_what_lasts_has_neither_the_nodes_files_nor_a_token(run: Run) -> None:
    pod = run(CONFIGURED).inputs("nodes-configurator-daemon-set")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    (lasting,) = pod["containers"]
    assert not {"volumeMounts", "env", "envFrom"} & set(lasting)


def test_it_has_a_namespace_of_its_own_that_allows_what_it_needs(run: Run) -> None:
    recorded = run(CONFIGURED)
    namespace = recorded.inputs("nodes-configurator-namespace")["metadata"]
    assert namespace["name"] == "registry-nodes"
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"
    owner = recorded.inputs("registry-namespace")["metadata"]["annotations"]
    assert namespace["annotations"] == owner, "or the next `up` would refuse it as another's"


def test_it_may_hold_the_one_lock_of_the_cluster_and_nothing_else(run: Run) -> None:
    recorded = run(CONFIGURED)
    role = recorded.inputs("nodes-configurator-role")
    metadata = {"name": "node-configurator-registry-nodes", "namespace": "kube-system"}
    lease = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    assert role["metadata"] == metadata, "two registries must not collide"
    assert role["rules"] == [
        {**lease, "verbs": ["create"]},
        {
            **lease,
            "resourceNames": ["k3s-registry-restart"],
            "verbs": ["get", "patch", "delete"],
        },
    ]
    binding = recorded.inputs("nodes-configurator-role-binding")
    assert binding["metadata"] == metadata
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": role["metadata"]["name"],
    }
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "default", "namespace": "registry-nodes"}
    ]


def test_its_file_is_a_secret_that_rolls_out_the_pods(run: Run) -> None:
    recorded = run(CONFIGURED)
    files = recorded.inputs("nodes-configurator-files")
    assert files["immutable"] is True
    assert "name" not in files["metadata"], "a change must change the pods"
    marked = recorded.resources["nodes-configurator-files"].marked
    assert isinstance(marked["stringData"], Secret)
    assert files["stringData"] == {"registries.yaml": recorded.outputs["registries_yaml"]}
    for name, resource in recorded.resources.items():
        if name.startswith("nodes-configurator") and name != "nodes-configurator-files":
            assert PASSWORD not in json.dumps(resource.inputs), f"{name} shows a secret"


def test_its_scripts_and_its_library_are_whole_and_fit_into_config_maps(run: Run) -> None:
    recorded = run(CONFIGURED)
    scripts = recorded.inputs("nodes-configurator-script")["data"]
    for name, source in scripts.items():
        imported = {f"{module}.py" for module in re.findall(r"^from scripts\.(\w+)", source, re.M)}
        assert imported <= set(scripts), f"{name} imports what is not there"
    library = recorded.inputs("nodes-configurator-library")["data"]
    assert {path.name for path in Path(yaml.__file__).parent.glob("*.py")} == set(library)
    # https://kubernetes.io/docs/concepts/configuration/configmap/#motivation
    assert sum(map(len, library.values())) < 2**20


def test_only_the_override_forbids_k3s_to_ask_docker_io(run: Run) -> None:
    def command(**nodes: object) -> list[str]:
        recorded = run({**CONFIG, "nodes": {"configure": True, **nodes}})
        pod = recorded.inputs("nodes-configurator-daemon-set")["spec"]["template"]["spec"]
        arguments: list[str] = pod["initContainers"][0]["command"]
        return arguments

    assert "--only-mirrors" not in command()
    assert "--only-mirrors" in command(overrideDockerIo=True)


def test_each_chosen_namespace_gets_a_pull_secret_of_the_pull_user(run: Run) -> None:
    recorded = run(TWO)
    assert recorded.outputs["pull_secrets"] == ["a/registry-pull", "b/registry-pull"]
    secret = recorded.inputs("pull-secrets-b")
    assert secret["metadata"] == {"name": "registry-pull", "namespace": "b"}
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    assert isinstance(recorded.resources["pull-secrets-b"].marked["stringData"], Secret)
    assert "pull-secrets-b-default" not in recorded.resources, "pods name it, unless told otherwise"


def test_the_default_service_account_may_be_told_to_use_it(run: Run) -> None:
    chosen = {"namespaces": ["a"], "defaultServiceAccount": True}
    patch = run({**CONFIG, "pullSecrets": chosen}).inputs("pull-secrets-a-default")
    assert patch["metadata"] == {"name": "default", "namespace": "a"}, (
        "a forced patch would drop what others put into the list"
    )
    assert patch["imagePullSecrets"] == [{"name": "registry-pull"}]
