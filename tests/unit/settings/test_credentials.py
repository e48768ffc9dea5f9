"""The providers' own configuration keys: each is passed on, or refused with a reason."""

from __future__ import annotations

import inspect
from pathlib import Path

import pulumi_digitalocean as digitalocean
import pulumi_kubernetes as kubernetes
import pytest
from pydantic.alias_generators import to_camel

from settings import load
from settings.credentials import DECIDED_HERE, CloudAccess, find_access, missing_access
from settings.problems import Problem, SettingsError
from tests.unit.conftest import Golden

KUBECONFIG = "apiVersion: v1\nkind: Config\n"


def reached(**config: str) -> CloudAccess:
    access, problems = find_access(keys(config), {})
    assert not problems
    return access


def refused(**config: str) -> Problem:
    (problem,) = find_access(keys(config), {})[1]
    return problem


def keys(config: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", ":", 1): value for name, value in config.items()}


def missing(config: dict[str, str], environment: dict[str, str]) -> list[Problem]:
    return missing_access(find_access(config, environment)[0], environment)


def test_what_this_program_depends_on_is_not_configurable() -> None:
    assert sorted(DECIDED_HERE) == [
        *("always_render", "cluster_identifier", "enable_config_map_mutable"),
        *("enable_secret_mutable", "enable_server_side_apply", "render_yaml_to_directory"),
        "upsert_existing_objects",
    ]


@pytest.mark.parametrize(
    ("package", "arguments"),
    [("digitalocean", digitalocean.ProviderArgs), ("kubernetes", kubernetes.ProviderArgs)],
)
def test_every_key_of_a_provider_is_passed_on_or_refused(package: str, arguments: type) -> None:
    values = {"bool": "true", "int": "3", "float": "0.5", "str": KUBECONFIG}
    for name, parameter in inspect.signature(arguments).parameters.items():
        kind = next((kind for kind in values if f"[{kind}," in str(parameter.annotation)), "")
        text = values.get(kind, '{"qps": 5}')
        access, problems = find_access({f"{package}:{to_camel(name)}": text}, {})
        passed = (
            name in {"digitalocean": access.digitalocean, "kubernetes": access.kubernetes}[package]
        )
        defaulted = name in ("api_endpoint", "spaces_endpoint")
        assert bool(problems) == (name in DECIDED_HERE), name
        assert passed == (not problems or defaulted), name


def test_values_have_the_types_that_the_provider_takes() -> None:
    assert reached(digitalocean_httpRetryMax="3").digitalocean["http_retry_max"] == 3
    assert reached(digitalocean_token="123").digitalocean["token"] == "123"
    settings = reached(kubernetes_kubeClientSettings='{"qps": 5}').kubernetes[
        "kube_client_settings"
    ]
    assert settings == {"qps": 5}


@pytest.mark.parametrize("text", ["many", "true", "0.5", '"3"'])
def test_a_value_of_another_type_is_refused(text: str) -> None:
    problem = refused(digitalocean_httpRetryMax=text)
    assert problem.expected == "expected a value of type int"
    assert problem.fix == "pulumi config rm digitalocean:httpRetryMax"


def test_an_unknown_key_is_refused_with_the_nearest_one_and_without_its_value() -> None:
    problem = refused(digitalocean_tokn="hunter2")
    assert problem.expected == "unknown key; the nearest known one is digitalocean:token"
    assert "hunter2" not in str(problem), "it may be a secret"


def test_what_this_program_depends_on_cannot_be_set() -> None:
    problem = refused(kubernetes_upsertExistingObjects="true")
    assert problem.fix == "pulumi config rm kubernetes:upsertExistingObjects"


def test_other_packages_keys_are_none_of_our_business() -> None:
    assert reached(aws_region="x") == reached()


def test_all_that_is_wrong_is_keys_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        load(
            {"p:namespace": "X", "digitalocean:tokn": "x"},
            frozenset(),
            environment={},
            project="p",
        )
    keys = [problem.key for problem in error.value.problems]
    assert keys == ["digitalocean:tokn", "hostname", "namespace", "digitalocean:token"]


@pytest.mark.parametrize("contents", [KUBECONFIG, '{"apiVersion": "v1"}'])
def test_a_kubeconfig_may_be_contents_in_any_form(contents: str) -> None:
    assert reached(kubernetes_kubeconfig=contents).kubernetes["kubeconfig"] == contents


def test_a_kubeconfigs_path_is_read_so_that_no_path_is_in_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(KUBECONFIG)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (str(tmp_path / "config"), "~/config"):
        assert reached(kubernetes_kubeconfig=path).kubernetes["kubeconfig"] == KUBECONFIG


@pytest.mark.parametrize("text", ["", "/nonexistent", "{hunter2", "hunter2\0", "x" * 5000])
def test_a_kubeconfig_that_is_neither_is_refused_and_not_shown(text: str) -> None:
    problem = refused(kubernetes_kubeconfig=text)
    assert problem.fix == "pulumi config set --secret kubernetes:kubeconfig < kubeconfig"
    assert "hunter2" not in str(problem)


def test_the_environments_kubeconfig_is_not_taken_into_the_state() -> None:
    access, _ = find_access({}, {"KUBECONFIG": "/home/me/.kube/config"})
    assert not access.kubernetes


def test_endpoints_come_from_configuration_environment_and_default_in_this_order() -> None:
    environment = {"DIGITALOCEAN_API_URL": "http://api", "SPACES_ENDPOINT_URL": "http://spaces"}
    assert reached().spaces_endpoint == "https://{{.Region}}.digitaloceanspaces.com"
    assert reached().api_endpoint == "https://api.digitalocean.com"
    assert find_access({}, environment)[0].digitalocean == {
        "api_endpoint": "http://api",
        "spaces_endpoint": "http://spaces",
    }
    config = {"digitalocean:spacesEndpoint": "http://mine"}
    assert find_access(config, environment)[0].spaces_endpoint == "http://mine"


def test_the_token_comes_from_configuration_or_environment_but_only_the_former_is_passed_on() -> (
    None
):
    environment = {"DIGITALOCEAN_TOKEN": "first", "DIGITALOCEAN_ACCESS_TOKEN": "second"}
    access, _ = find_access({}, environment)
    assert (access.token, "token" in access.digitalocean) == ("first", False)
    assert find_access({"digitalocean:token": "mine"}, environment)[0].token == "mine"
    assert find_access({}, {"DIGITALOCEAN_ACCESS_TOKEN": "second"})[0].token == "second"


def test_a_missing_token_is_named_with_both_ways_to_give_it() -> None:
    (problem,) = missing({}, {})
    assert problem.fix == "pulumi config set --secret digitalocean:token"
    assert "DIGITALOCEAN_TOKEN" in problem.expected


TOKEN = {"DIGITALOCEAN_TOKEN": "token"}
KEY_ID = {"digitalocean:spacesAccessId": "DO00"}


def test_a_spaces_key_without_its_secret_is_refused() -> None:
    (problem,) = missing(KEY_ID, TOKEN)
    assert problem.key == "digitalocean:spacesSecretKey"
    assert not missing(KEY_ID, {**TOKEN, "SPACES_SECRET_ACCESS_KEY": "x"})
    assert not missing({**KEY_ID, "digitalocean:spacesSecretKey": "x"}, TOKEN)


def test_a_secret_without_its_spaces_key_is_refused_whatever_the_environment_has() -> None:
    config = {"digitalocean:spacesSecretKey": "x"}
    (problem,) = missing(config, {**TOKEN, "SPACES_ACCESS_KEY_ID": "DO00"})
    assert problem.key == "digitalocean:spacesAccessId"


def test_secrets_are_not_in_the_representation_of_what_was_found() -> None:
    access = reached(digitalocean_token="hunter2", kubernetes_kubeconfig="token: hunter2")
    assert access.token == "hunter2"
    assert "hunter2" not in repr(access)


def test_each_refusal_is_as_its_golden_says(golden: Golden) -> None:
    slips = {
        "digitalocean:httpRetryMax": "many",
        "digitalocean:httpRetryWaitMax": '"3"',
        "digitalocean:tokn": "hunter2",
        "digitalocean:x": "hunter2",
        "kubernetes:enableServerSideApply": "false",
        "kubernetes:kubeClientSettings": "[]",
        "kubernetes:kubeconfig": "/nonexistent",
    }
    problems = [*find_access(slips, {})[1], *missing({}, {}), *missing(KEY_ID, TOKEN)]
    problems += missing({"digitalocean:spacesSecretKey": "x"}, TOKEN)
    golden("credentials.txt", str(SettingsError(*problems)))
