"""Nodes and namespaces that pull, as the program wires them, against mocks."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.unit.program.conftest import CONFIG, Run
from tests.unit.program.modes import MODES

CONFIGURED = {**CONFIG, **MODES["nodes"]}


def test_nodes_configure_themselves_only_if_the_setting_says_so(run: Run) -> None:
    assert not [name for name in run().resources if name.startswith("nodes-")], (
        "nobody's k3s is restarted unasked"
    )


def test_the_file_names_the_registry_whose_it_is(run: Run) -> None:
    outputs = run({**CONFIG, "namespace": "second"}).outputs
    assert outputs["registries_yaml"].startswith("# Written by Pulumi for second-nodes, ")


def test_a_mirror_prefix_alone_leaves_docker_io_to_itself(run: Run) -> None:
    """Or no node could pull what the registry does not have."""
    engine = run({**CONFIG, "nodes": {"configure": True, "mirrorPrefix": "example.com"}})
    pod = engine.inputs("nodes-configurator-daemon-set")["spec"]["template"]["spec"]
    (configure,) = pod["initContainers"]
    assert "--only-mirrors" not in configure["command"]
    assert "disable-default-registry-endpoint" not in engine.outputs["registries_cloud_init"]
    assert "docker.io" not in engine.outputs["registries_yaml"]


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
    role = run(CONFIGURED).inputs("nodes-configurator-role")
    assert role["metadata"]["name"].endswith("-registry-nodes"), "two registries must not collide"
    lease = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    assert role["rules"] == [
        {**lease, "verbs": ["create"]},
        {
            **lease,
            "resourceNames": ["k3s-registry-restart"],
            "verbs": ["get", "patch", "delete"],
        },
    ]


def test_its_file_is_a_secret_that_rolls_out_the_pods(run: Run) -> None:
    recorded = run(CONFIGURED)
    files = recorded.inputs("nodes-configurator-files")
    assert files["immutable"] is True
    assert "name" not in files["metadata"], "a change must change the pods"


def test_its_library_is_whole_and_fits_into_a_config_map(run: Run) -> None:
    recorded = run(CONFIGURED)
    library = recorded.inputs("nodes-configurator-library")["data"]
    assert {path.name for path in Path(yaml.__file__).parent.glob("*.py")} == set(library)
    # https://kubernetes.io/docs/concepts/configuration/configmap/#motivation
    assert sum(map(len, library.values())) < 2**20


def test_the_pull_secrets_of_others_stay_in_the_default_service_account(run: Run) -> None:
    engine = run({**CONFIG, **MODES["pull-secrets-default-account"]})
    patch = engine.inputs("pull-secrets-team-a-default")
    assert patch["metadata"] == {"name": "default", "namespace": "team-a"}, (
        "a forced patch would drop what others put into the list"
    )
