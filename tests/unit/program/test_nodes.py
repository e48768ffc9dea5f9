"""Nodes and namespaces that pull, as the program wires them, against mocks."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.unit.program.conftest import CONFIG, Run
from tests.unit.program.engine import Secret

PASSWORD = "credentialspull00000000000000000"
ENROLLED = {**CONFIG, "nodes": {"mirrorPrefix": "example.com", "configure": True}}
TWO = {**CONFIG, "pullSecrets": {"namespaces": ["a", "b"]}}


def test_nodes_set_themselves_up_only_if_they_are_told_to(run: Run) -> None:
    assert not [name for name in run().resources if name.startswith("nodes-")], (
        "nobody's k3s is restarted unasked"
    )


def test_the_choices_reach_the_file(run: Run) -> None:
    choices = {"mirrorPrefix": "example.com", "overrideDockerIo": True, "caFile": "/ca.pem"}
    outputs = run({**CONFIG, "nodes": choices}).outputs
    content = yaml.safe_load(outputs["registries_yaml"])
    assert list(content["mirrors"]) == ["example.com", "docker.io"]
    config = content["configs"]["registry.example.com"]
    assert config == {
        "auth": {"username": "pull", "password": PASSWORD},
        "tls": {"ca_file": "/ca.pem"},
    }
    assert "disable-default-registry-endpoint: true" in outputs["cloud_init"]


def test_the_enrolment_is_allowed_what_it_needs_in_a_namespace_of_its_own(run: Run) -> None:
    made = run(ENROLLED)
    namespace = made.inputs("nodes-configurator-namespace")["metadata"]
    assert namespace["name"] == "registry-nodes"
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"
    owner = made.inputs("registry-namespace")["metadata"]["annotations"]
    assert namespace["annotations"] == owner, "or the next `up` would refuse it as a stranger's"
    rules = made.inputs("nodes-configurator-role")["rules"]
    assert {resource for rule in rules for resource in rule["resources"]} == {"leases"}


def test_the_enrolment_is_root_on_the_node_and_nothing_beyond(run: Run) -> None:
    pod = run(ENROLLED).inputs("nodes-configurator-daemon-set")["spec"]["template"]["spec"]
    (enrol,) = pod["initContainers"]
    assert enrol["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["SYS_CHROOT"]}
    for right in ("privileged", "hostPID", "hostNetwork", "hostIPC"):
        assert right not in json.dumps(pod), f"{right} is not needed"
    (lasting,) = pod["containers"]
    assert lasting["securityContext"]["runAsNonRoot"] is True
    assert "volumeMounts" not in lasting, "what stays must not see the node's files"
    assert pod["tolerations"] == [{"operator": "Exists"}], "every node pulls"


def test_the_enrolments_file_is_a_secret_that_rolls_out_the_pods(run: Run) -> None:
    made = run(ENROLLED)
    files = made.inputs("nodes-configurator-files")
    assert files["immutable"] is True
    assert "name" not in files["metadata"], "a change must change the pods"
    assert isinstance(made.resources["nodes-configurator-files"].marked["stringData"], Secret)
    for name in ("nodes-configurator-daemon-set", "nodes-configurator-script"):
        assert PASSWORD not in json.dumps(made.inputs(name)), f"{name} shows a secret"


def test_the_library_is_whole_and_fits_into_a_config_map(run: Run) -> None:
    library = run(ENROLLED).inputs("nodes-configurator-library")["data"]
    sources = Path(yaml.__file__).parent.glob("*.py")
    assert {path.name for path in sources} == set(library)
    # https://kubernetes.io/docs/concepts/configuration/configmap/#motivation
    assert sum(map(len, library.values())) < 2**20


def test_only_the_override_forbids_k3s_to_ask_docker_io(run: Run) -> None:
    def arguments(**nodes: object) -> list[str]:
        made = run({**CONFIG, "nodes": {"configure": True, **nodes}})
        pod = made.inputs("nodes-configurator-daemon-set")["spec"]["template"]["spec"]
        found: list[str] = pod["initContainers"][0]["command"]
        return found

    assert "--only-mirrors" not in arguments()
    assert "--only-mirrors" in arguments(overrideDockerIo=True)


def test_each_chosen_namespace_gets_a_pull_secret_of_the_pull_user(run: Run) -> None:
    made = run(TWO)
    assert made.outputs["pull_secrets"] == ["a/registry-pull", "b/registry-pull"]
    secret = made.inputs("pull-secrets-b")
    assert secret["metadata"] == {"name": "registry-pull", "namespace": "b"}
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    assert isinstance(made.resources["pull-secrets-b"].marked["stringData"], Secret)
    assert "pull-secrets-b-default" not in made.resources, "pods name it, unless told otherwise"


def test_the_default_service_account_may_be_told_to_use_it(run: Run) -> None:
    chosen = {"namespaces": ["a"], "defaultServiceAccount": True}
    patch = run({**CONFIG, "pullSecrets": chosen}).inputs("pull-secrets-a-default")
    assert patch["metadata"] == {"name": "default", "namespace": "a"}, (
        "a forced patch would drop what others put into the list"
    )
    assert patch["imagePullSecrets"] == [{"name": "registry-pull"}]
