"""Loading all settings: what is required, and how everything that is wrong is reported at once."""

from __future__ import annotations

import pydantic
import pytest

from settings import Settings, load
from settings.schema import RegistrySettings
from tests.unit.program.conftest import PROJECT
from tests.unit.settings.helpers import GOOD, TOKEN, loaded, problems, refusal


def test_the_hostname_is_the_only_required_key() -> None:
    settings, _ = loaded(GOOD)
    assert settings.registry.replicas == 1
    for unset in ({}, {"hostname": ""}, {"hostname": None}):
        (problem,) = problems(unset)
        assert (problem.key, problem.value) == ("hostname", "(not set)")
        assert "such as registry.example.com" in problem.expected
        assert problem.fix == "pulumi config set hostname"


def test_keys_of_other_projects_are_none_of_this_program() -> None:
    config = {f"{PROJECT}:hostname": "a.b", "other:hostname": "c.d", "other:zzz": "1"}
    assert load(config, frozenset(), TOKEN, PROJECT)[0].hostname == "a.b"


def test_all_problems_are_reported_at_once() -> None:
    values = {
        "storage.region": "mars",
        "edge": {},
        "namespace": "X",
        "tls": {"secretName": "Y", "z": 1, "mode": "magic"},
        "registry": "big",
        "users": {"ci": {}},
    }
    assert [problem.key for problem in problems(values, {})] == [
        "registry",
        "edge",
        "storage.region",
        "tls.z",
        "hostname",
        "namespace",
        "users.ci",
        "storage.region",
        "tls.mode",
        "digitalocean:token",
    ]


def test_the_message_has_every_problem_with_key_value_expectation_and_fix() -> None:
    assert str(refusal({"hostname": "http://a.b", "namespace": "X", "zzz": "1"})) == (
        "3 problems in the configuration of this stack; nothing was changed.\n"
        "\n"
        "  zzz = [not shown]\n"
        "      unknown key; known are hostname, namespace, adminUser, pullUser, rotation, users, "
        "storage, "
        "registry, ingress, tls, dns, nodes, pullSecrets, webhooks, immutable, maintenance, "
        "retention, cache, backup, page, scan, monitoring, scripts\n"
        "      fix: pulumi config rm zzz\n"
        '  hostname = "http://a.b"\n'
        "      expected a hostname in lowercase letters, such as registry.example.com: "
        "no scheme, port or path\n"
        "      fix: pulumi config set hostname a.b\n"
        '  namespace = "X"\n'
        "      expected at most 57 lowercase letters, digits and hyphens, such as registry; "
        "not default, not kube-...\n"
        "      fix: pulumi config set namespace x"
    )
    assert str(refusal({})).startswith("1 problem in the configuration")


def test_a_value_is_shown_as_it_was_typed() -> None:
    (problem,) = problems({"hostname": "é.example.com"})
    assert problem.value == '"é.example.com"'


@pytest.mark.parametrize(("length", "end"), [(198, '"'), (199, "...")])
def test_a_long_value_is_cut(length: int, end: str) -> None:
    (problem,) = problems({**GOOD, "nodes": {"caFile": "x" * length}})
    assert problem.value == '"' + "x" * length + end


def test_a_missing_token_is_reported_beside_a_bad_key_of_the_space() -> None:
    refused = problems({**GOOD, "storage": {"region": "mars"}}, {})
    assert [problem.key for problem in refused] == ["storage.region", "digitalocean:token"]


def test_sections_may_be_models_already() -> None:
    registry = RegistrySettings.model_validate({"replicas": 3})
    settings = Settings.model_validate({**GOOD, "registry": registry})
    assert settings.registry.replicas == 3


def test_settings_cannot_be_changed_after_they_were_checked() -> None:
    settings, _ = loaded(GOOD)
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        settings.hostname = "x"
