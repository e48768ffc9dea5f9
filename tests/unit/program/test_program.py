"""The program as a whole, against mocks."""

from __future__ import annotations

import base64
import json

import pytest
import yaml

from settings.problems import SettingsError
from tests.unit.program.conftest import CONFIG, DRAWN, SECRET, Run

PASSWORD = DRAWN["random:index/randomPassword:RandomPassword"]["result"]
STORAGE_SECRET = "s3cr3t-of-storage-key"


def test_a_hostname_and_a_token_are_enough_for_a_whole_registry(run: Run) -> None:
    made = run()
    kinds = sorted(kind.split(":")[-1] for kind in made.types())
    assert kinds == sorted(
        [
            "Space", "Credentials", "Registry", "StorageCheck", "Ingress", "SmokeTest",
            "PrivateRegistry",
            "Nodes", "PullSecrets",
            "Stash", "kubernetes", "digitalocean", "digitalocean",
            "SpacesKey", "SpacesBucket", "SpacesKey", "RandomString",
            "RandomPassword", "RandomBytes", "RandomPassword", "RandomBytes", "RandomBytes",
            "Namespace", "NetworkPolicy", "NetworkPolicy", "NetworkPolicy", "NetworkPolicy",
            "Secret", "Secret", "Secret", "Deployment", "Service",
            "Ingress", "IngressRoute", "Middleware", "Middleware", "TLSOption", "Secret",
            "Secret", "ConfigMap", "Job", "ConfigMap", "Job",
        ]
    )  # fmt: skip


def test_a_preview_with_nothing_known_registers_the_same_resources(run: Run) -> None:
    assert "smoke-test-job" in run(preview=True).resources, "a preview must show the whole graph"


def test_the_storage_key_opens_one_space_and_is_named_after_the_hostname(run: Run) -> None:
    key = run().inputs("storage-key")
    assert key["name"] == CONFIG["hostname"]
    assert key["grants"] == [{"bucket": "registry-a1b2c3d4", "permission": "readwrite"}], (
        "a stolen storage key must open no other Space"
    )


def test_the_bootstrap_key_opens_all_spaces_but_never_reaches_the_cluster(run: Run) -> None:
    made = run()
    assert made.inputs("bootstrap-key")["grants"] == [{"bucket": "", "permission": "fullaccess"}]
    assert STORAGE_SECRET in made.inputs("registry-storage-key")["stringData"]["credentials"]
    for name, resource in made.resources.items():
        if resource.typ.startswith("kubernetes:"):
            assert "s3cr3t-of-bootstrap-key" not in json.dumps(resource.inputs), name


def test_everything_that_a_secret_is_written_into_is_marked_secret(run: Run) -> None:
    made = run()
    for name in ("registry-config", "registry-storage-key", "registry-users", "smoke-test-login"):
        assert SECRET in made.resources[name].inputs["stringData"], (
            f"{name} would show in the state"
        )


def test_a_user_who_brings_a_spaces_key_gets_no_bootstrap_key(run: Run) -> None:
    made = run(
        {
            **CONFIG,
            "digitalocean:spacesAccessId": "DO00MINE",
            "digitalocean:spacesSecretKey": "mine",
        }
    )
    assert "bootstrap-key" not in made.resources
    assert made.inputs("spaces")["spacesAccessId"] == "DO00MINE"


def test_the_space_is_private_and_protected_from_deletion_by_default(run: Run) -> None:
    space = run().inputs("storage-bucket")
    assert space["acl"] == "private"
    assert space["forceDestroy"] is False, "images must not vanish with a destroy by mistake"


def test_no_secret_is_in_the_environment_arguments_labels_or_annotations_of_a_pod(run: Run) -> None:
    made = run()
    hexed = DRAWN["random:index/randomBytes:RandomBytes"]["hex"]
    secrets = [PASSWORD, STORAGE_SECRET, hexed, base64.b64encode(PASSWORD.encode()).decode()]
    for name, resource in made.resources.items():
        if resource.typ.startswith("kubernetes:") and not resource.typ.endswith(":Secret"):
            text = json.dumps(resource.inputs)
            assert not [secret for secret in secrets if secret in text], f"{name} shows a secret"


def test_the_namespace_refuses_pods_that_are_not_restricted(run: Run) -> None:
    labels = run().inputs("registry-namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_users_change_in_place_and_everything_else_rolls_the_pods(run: Run) -> None:
    made = run()
    assert made.inputs("registry-users")["immutable"] is False
    assert made.inputs("registry-users")["metadata"]["name"] == "registry-users", (
        "the registry reads its users anew, so a new password needs no restart"
    )
    for name in ("registry-config", "registry-storage-key"):
        assert made.inputs(name)["immutable"] is True
        assert "name" not in made.inputs(name)["metadata"], "a change must change the pods"
    volumes = made.inputs("registry-deployment")["spec"]["template"]["spec"]["volumes"]
    assert volumes[0]["secret"]["secretName"] == "registry-config-0a1b2c3d"


def test_the_configuration_file_names_the_space_in_its_region(run: Run) -> None:
    made = run({**CONFIG, "storage": {"region": "fra1"}})
    config = yaml.safe_load(made.inputs("registry-config")["stringData"]["config.yml"])
    assert config["storage"]["s3"]["regionendpoint"] == "https://fra1.digitaloceanspaces.com"
    assert config["storage"]["s3"]["bucket"] == "registry-a1b2c3d4"
    assert config["storage"]["s3"]["forcepathstyle"] is True


S3 = {
    "kind": "s3",
    "endpoint": "https://s3.eu-central-1.amazonaws.com",
    "region": "eu-central-1",
    "bucket": "images",
    "accessKey": "AKIA",
    "secretKey": "hunter2",
    "pathStyle": False,
    "rootDirectory": "k3s",
}


def test_an_existing_bucket_needs_nothing_of_the_cloud(run: Run) -> None:
    made = run({**CONFIG, "storage": S3}, token="")
    assert not [kind for kind in made.types() if "digitalocean" in kind]
    assert "hunter2" in made.inputs("registry-storage-key")["stringData"]["credentials"]
    assert made.outputs["bucket"] == "images"


@pytest.mark.parametrize(
    ("storage", "arguments"),
    [
        (
            {},
            [
                "https://nyc3.digitaloceanspaces.com", "--region=nyc3",
                "--bucket=registry-a1b2c3d4", "--folder=", "--managed",
            ],
        ),
        (
            S3,
            [
                "https://s3.eu-central-1.amazonaws.com", "--region=eu-central-1",
                "--bucket=images", "--folder=k3s", "--virtual-host",
            ],
        ),
    ],
)  # fmt: skip
def test_the_store_is_checked_with_the_registrys_own_key_as_the_registry_will_use_it(
    run: Run, storage: dict[str, object], arguments: list[str]
) -> None:
    made = run({**CONFIG, "storage": storage})
    spec = made.inputs("registry-storage-check-job")["spec"]["template"]["spec"]
    command = spec["containers"][0]["command"]
    assert [word for word in command[3:] if not word.startswith("--key-file=")] == arguments
    secret = spec["volumes"][0]["secret"]["secretName"]
    pod = made.inputs("registry-deployment")["spec"]["template"]["spec"]
    assert secret in [volume["secret"]["secretName"] for volume in pod["volumes"]], (
        "a new key must be checked before the registry gets it"
    )


def test_the_pod_that_checks_the_store_reaches_nothing_but_dns_and_the_store(run: Run) -> None:
    made = run({**CONFIG, "storage": {**S3, "endpoint": "http://minio:9000"}})
    policy = made.inputs("registry-storage-check-policy")["spec"]
    ports = [port["port"] for rule in policy["egress"] for port in rule["ports"]]
    assert ports == [53, 53, 9000]
    labels = made.inputs("registry-storage-check-job")["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"] == labels


def test_one_replica_has_no_disruption_budget_and_two_have_one(run: Run) -> None:
    made = run({**CONFIG, "registry": {"replicas": 2}})
    assert made.inputs("registry-disruption-budget")["spec"]["maxUnavailable"] == 1
    assert made.inputs("registry-deployment")["spec"]["replicas"] == 2


def test_one_replica_may_always_be_moved_to_another_node(run: Run) -> None:
    assert "registry-disruption-budget" not in run().resources, "it would block a node's drain"


def test_only_the_registrys_api_is_led_in(run: Run) -> None:
    rules = run().inputs("ingress-ingress")["spec"]["rules"]
    assert [path["path"] for path in rules[0]["http"]["paths"]] == ["/v2"]


def test_the_outputs_hand_over_the_login(run: Run) -> None:
    outputs = run().outputs
    assert outputs.pop("upload_limit").startswith("Traefik cuts an upload after 60 s")
    assert outputs.pop("readme").startswith("# registry.example.com\n")
    assert "username: pull" in outputs.pop("registries_yaml"), "nodes have no need to push"
    assert outputs.pop("cloud_init").startswith("#cloud-config\n")
    assert outputs == {
        "registry": "registry.example.com",
        "username": "admin",
        "password": PASSWORD,
        "pull_username": "pull",
        "pull_password": PASSWORD,
        "login": "pulumi stack output password --show-secrets | "
        "podman login registry.example.com --username admin --password-stdin",
        "pull_secrets": [],
        "bucket": "registry-a1b2c3d4",
        "endpoint": "https://nyc3.digitaloceanspaces.com",
    }


def test_bad_settings_are_refused_before_any_resource_is_made(run: Run) -> None:
    with pytest.raises(SettingsError, match="https://wrong"):
        run({"hostname": "https://wrong"})
