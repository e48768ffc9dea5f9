"""What the providers get: what is configured, and nothing of one machine or shell."""

from __future__ import annotations

import pytest

from preflight.identity import same_cluster
from settings.problems import SettingsError
from tests.unit.program.conftest import CLUSTER_UID, CONFIG, Run

FIXED = {
    "clusterIdentifier": CLUSTER_UID,
    "enableConfigMapMutable": "true",
    "enableSecretMutable": "true",
    "enableServerSideApply": "true",
    "upsertExistingObjects": "false",
}


def test_the_environment_does_not_reach_the_state_of_the_cluster(run: Run) -> None:
    environment = {
        "KUBECONFIG": "/home/me/.kube/config",
        "PULUMI_K8S_DELETE_UNREACHABLE": "true",
        "PULUMI_K8S_ENABLE_PATCH_FORCE": "true",
        "PULUMI_K8S_UPSERT_EXISTING_OBJECTS": "true",
    }
    assert run(environment=environment).inputs("cluster") == FIXED


def test_configured_keys_reach_all_of_the_clouds_providers(run: Run) -> None:
    resources = run({**CONFIG, "digitalocean:httpRetryMax": "0"})
    for name in ("account", "spaces"):
        assert resources.inputs(name)["httpRetryMax"] == "0"
        assert resources.inputs(name)["apiEndpoint"] == "https://api.digitalocean.com"


@pytest.mark.parametrize(
    ("config", "key"),
    [({}, "DO00-bootstrap-key"), ({"digitalocean:spacesAccessId": "DO00MINE"}, "DO00MINE")],
)
def test_which_keys_there_are_follows_from_the_configuration_alone(
    run: Run, config: dict[str, str], key: str
) -> None:
    environment = {"SPACES_ACCESS_KEY_ID": "DO00SHELL", "SPACES_SECRET_ACCESS_KEY": "x"}
    resources = run({**CONFIG, **config}, environment=environment)
    assert ("bootstrap-key" in resources.resources) is not bool(config)
    assert resources.inputs("spaces")["spacesAccessId"] == key


def test_a_preview_without_a_cluster_goes_by_the_recorded_one() -> None:
    assert same_cluster("recorded", None) == "recorded"


def test_another_cluster_than_the_recorded_one_is_refused() -> None:
    assert same_cluster("recorded", "recorded") == "recorded"
    with pytest.raises(SettingsError, match="expected this stack's cluster, UID recorded"):
        same_cluster("recorded", "another")
