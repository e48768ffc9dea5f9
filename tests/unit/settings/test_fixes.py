"""Every printed fix, run to the letter, gives what was meant and touches nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.conftest import Golden
from tests.unit.settings.helpers import GOOD, S3, listed, load_stack, problems
from tests.unit.settings.pulumi_config import PulumiConfig, Secret

UNTOUCHED = {**GOOD, "kubernetes:context": "k3s", "other:key": "x"}
"""What no fix of a test has to do with."""

SLIPS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    # Set without --path, or under a wrong name.
    ({"storage.region": "fra1"}, {"storage": {"region": "fra1"}}),
    ({"storage.Region": "fra1"}, {"storage": {"region": "fra1"}}),
    ({"region": "fra1"}, {"storage": {"region": "fra1"}}),
    ({"cpu": "1"}, {"registry": {"resources": {"cpu": 1}}}),
    ({"namespace.name": "x"}, {}),
    ({"storage.region": "fra9"}, {"storage": {"region": "fra1"}}),
    (
        {"storage.region": "fra1", "storage": {"namePrefix": "x", "regoin": "ams3"}},
        {"storage": {"namePrefix": "x", "region": "ams3"}},
    ),
    ({"registry.replicas": "2"}, {"registry": {"replicas": 2}}),
    ({"registry.resources.cpu": "1"}, {"registry": {"resources": {"cpu": 1}}}),
    ({"registry": {"replcas": 2}}, {"registry": {"replicas": 2}}),
    (
        {"regsitry": {"replicas": 2, "resources": {"memory": "64Mi"}}},
        {"registry": {"replicas": 2, "resources": {"memory": "64Mi"}}},
    ),
    (
        {"pullSecrets.namespaces[0]": "a", "pullSecrets.namespaces[1]": "b"},
        {"pullSecrets": {"namespaces": ["a", "b"]}},
    ),
    (
        {
            "pullSecrets.namespaces[1]": "c",
            "pullSecrets.namespaces[0]": "b",
            "pullSecrets": {"namespaces": ["a"]},
        },
        {"pullSecrets": {"namespaces": ["a", "b", "c"]}},
    ),
    ({"pullSecret": {"namespaces": ["a", "b"]}}, {"pullSecrets": {"namespaces": ["a", "b"]}}),
    ({"regsitry": ["x"], "hostnme": ["x"]}, {}),
    ({"users": {"ci": {"push": "a"}}, "users.ci.push[0]": "b"}, {"users": {"ci": {"push": ["a"]}}}),
    ({"users.ci.push[0]": "a/*"}, {"users": {"ci": {"push": ["a/*"]}}}),
    ({"users": {"ci": {"pusch": ["a", "b"]}}}, {"users": {"ci": {"push": ["a", "b"]}}}),
    ({"nodes": {"mirror_prefix": "example.com"}}, {"nodes": {"mirrorPrefix": "example.com"}}),
    ({"storage": {"zzz": "x", "region": "fra1"}}, {"storage": {"region": "fra1"}}),
    ({"zzz": {"a": [1]}}, {}),
    ({"storage": {"region": "fra1", "regoin": "fra1"}}, {"storage": {"region": "fra1"}}),
    # Sections that are no objects, or the text of one.
    ({"storage": "fra1"}, {"storage": {"region": "fra1"}}),
    ({"tls": "ACME"}, {"tls": {"mode": "acme"}}),
    ({"storage": "acme"}, {}),
    ({"registry": "big", "tls": "5", "users": "ci"}, {}),
    ({"registry": {"resources": "big", "replicas": 2}}, {"registry": {"replicas": 2}}),
    (
        {"registry": {"replicas": 2}, "storage": '{"region": "fra1"}'},
        {"registry": {"replicas": 2}, "storage": {"region": "fra1"}},
    ),
    (
        {"registry": '{"replicas":2,"image":"registry:3.1.3"}'},
        {"registry": {"replicas": 2, "image": "registry:3.1.3"}},
    ),
    # The kind of a section.
    ({"storage": {"kind": "S3 ", **S3} | {"kind": "S3"}}, {"storage": S3}),
    ({"storage": {k: v for k, v in S3.items() if k != "kind"}}, {"storage": S3}),
    ({"tls": {"issuer": "x"}}, {"tls": {"issuer": "x", "mode": "certManager"}}),
    (
        {"tls": {"mode": "certmanager", "issuer": "x"}},
        {"tls": {"mode": "certManager", "issuer": "x"}},
    ),
    ({"tls": {"mode": "acme", "secretName": "x"}}, {"tls": {"mode": "acme"}}),
    # Lists.
    ({"pullSecrets": {"namespaces": "a"}}, {"pullSecrets": {"namespaces": ["a"]}}),
    ({"pullSecrets": {"namespaces": '["a", "b"]'}}, {"pullSecrets": {"namespaces": ["a", "b"]}}),
    ({"pullSecrets": {"namespaces": "a,b c"}}, {"pullSecrets": {"namespaces": ["a", "b", "c"]}}),
    ({"pullSecrets": {"namespaces": 7}}, {"pullSecrets": {"namespaces": [7]}}),
    ({"pullSecrets": {"namespaces": ["a", "B"]}}, {"pullSecrets": {"namespaces": ["a", "b"]}}),
    ({"pullSecrets": {"namespaces": " "}}, {"pullSecrets": {}}),
    (
        {"retention": {"rules": {"r": {"repositories": "[a, b/*]", "matching": "^v[0-9]{1,2}"}}}},
        {
            "retention": {
                "rules": {"r": {"repositories": ["a", "b/*"], "matching": ["^v[0-9]{1,2}"]}}
            }
        },
    ),
    (
        {"pullSecrets": {"namespaces": ["b", "a", "registry", "b", "registry-nodes"]}},
        {"pullSecrets": {"namespaces": ["b", "a"]}},
    ),
    ({"pullSecrets": {"namespaces": ["registry"]}}, {"pullSecrets": {}}),
    # Users.
    ({"users": {"Team A": {"pull": ["*"]}}}, {"users": {"team-a": {"pull": ["*"]}}}),
    (
        {"users": {"Ci": {"push": ["A/"], "pull": ["b"]}}},
        {"users": {"ci": {"push": ["a/*"], "pull": ["b"]}}},
    ),
    (
        {"users": {"Ci": {"push": ["a"]}, "ci": {"push": ["b"]}}},
        {"users": {"ci": {"push": ["b"]}}},
    ),
    ({"users": {"1c": {"pull": ["*"]}}}, {"users": {"u1c": {"pull": ["*"]}}}),
    (
        {"users": {f"{'a' * 31}-b": {"pull": ["*"]}}},
        {"users": {"a" * 31: {"pull": ["*"]}}},
    ),
    (
        {"users": {"ci": {"pull": ["/A//b/**", "/*"]}}},
        {"users": {"ci": {"pull": ["a/b/*", "*"]}}},
    ),
    ({"users": {"c.i": {"pull": "*"}}}, {"users": {"c-i": {"pull": ["*"]}}}),
    (
        {"users": {"ci": {"push": ["registry.example.com/a/*", "b"], "pull": ["c"]}}},
        {"users": {"ci": {"push": ["a/*", "b"], "pull": ["c"]}}},
    ),
    (
        {"retention": {"rules": {"My Rule": {"repositories": "*", "last": 3}}}},
        {"retention": {"rules": {"my-rule": {"repositories": ["*"], "last": 3}}}},
    ),
    ({"adminUser": "Pull"}, {"adminUser": "Pull", "pullUser": "Pull-pull"}),
    # Two keys at once.
    ({"nodes": {"mirrorPrefix": "docker.io"}}, {"nodes": {"overrideDockerIo": True}}),
    (
        {"nodes": {"mirrorPrefix": "registry.example.com", "configure": True}},
        {"nodes": {"configure": True}},
    ),
]


@pytest.mark.parametrize(("slip", "meant"), SLIPS, ids=[str(slip) for slip, _ in SLIPS])
def test_the_fixes_of_a_slip_give_what_was_meant_and_touch_nothing_else(
    slip: dict[str, Any], meant: dict[str, Any]
) -> None:
    config = PulumiConfig(UNTOUCHED | slip)
    for problem in problems(config.values):
        config.run(problem.fix)
    assert filled(config.values) == filled(UNTOUCHED | meant)
    load_stack(config)


def test_every_message_is_as_its_golden_says(golden: Golden) -> None:
    golden("slips.txt", listed(GOOD | slip for slip, _ in SLIPS))


def filled(values: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration without the empty sections that removed keys leave behind."""
    return {key: value for key, value in values.items() if value != {}}


@pytest.mark.parametrize(
    ("slip", "typed", "meant"),
    [
        ({"hostname": ""}, ("a.example.com",), {"hostname": "a.example.com"}),
        ({"storage": {"region": "mars"}}, ("ams3",), {"storage": {"region": "ams3"}}),
        ({"registry": {"replicas": "two"}}, ("2",), {"registry": {"replicas": 2}}),
        ({"users": {"ci": {"push": []}}}, ("a/*",), {"users": {"ci": {"pull": ["a/*"]}}}),
        (
            {"users": {"admin": {"pull": ["*"]}}},
            ("root",),
            {"users": {"admin": {"pull": ["*"]}}, "adminUser": "root"},
        ),
        ({"users": {"ci": {"pull": ["/"]}}}, ("a",), {"users": {"ci": {"pull": ["a"]}}}),
        ({"namespace": "kube-system"}, ("images",), {"namespace": "images"}),
        (
            {"storage": S3 | {"accessKey": 1.2e19}},
            ("12000000000000000001",),
            {"storage": S3 | {"accessKey": "12000000000000000001"}},
        ),
        ({"storage": S3 | {"secretKey": Secret(" x")}}, ("hunter2",), {"storage": S3}),
    ],
)
def test_a_value_that_nobody_can_know_is_asked_for(
    slip: dict[str, Any], typed: tuple[str, ...], meant: dict[str, Any]
) -> None:
    config = PulumiConfig(UNTOUCHED | slip, typed)
    (problem,) = problems(config.values)
    config.run(problem.fix)
    assert config.values == UNTOUCHED | meant
    load_stack(config)
