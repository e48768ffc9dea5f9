"""Keys that are not where they belong: what is said of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.settings.helpers import GOOD, S3, problems


@pytest.mark.parametrize(
    ("slip", "key", "expected"),
    [
        ({"hostnme": "x.y"}, "hostnme", "unknown key; the nearest known one is hostname"),
        (
            {"storage": {"regoin": "fra1"}},
            "storage.regoin",
            "unknown key; the nearest known one is storage.region",
        ),
        (
            {"resolver": "le", "tls": {"mode": "acme"}},
            "resolver",
            "unknown key; the nearest known one is tls.resolver",
        ),
        (
            {"regsitry": {"replicas": 2, "image": "registry:3.1.3"}},
            "regsitry",
            "unknown key; the nearest known one is registry.image, registry.replicas",
        ),
        (
            {"storage.regoin": "fra1"},
            "storage.regoin",
            "expected it to be set with --path, as storage.region",
        ),
        (
            {"storage": S3, "storage.zzz": "x"},
            "storage.zzz",
            "unknown key; known are hostname, namespace, adminUser, pullUser, rotation, users, "
            "storage, "
            "registry, ingress, tls, dns, nodes, pullSecrets, webhooks, immutable, maintenance, "
            "retention, cache, backup, page, scan, monitoring, scripts",
        ),
        ({"scripts": {"zzz": "x"}}, "scripts.zzz", "unknown key; known are image"),
        (
            {"registry": {"resources": {"disk": "x"}}},
            "registry.resources.disk",
            "unknown key; known are cpu, memory",
        ),
        (
            {"users": {"ci": {"admin": True, "pull": ["*"]}}},
            "users.ci.admin",
            "unknown key; known are push, pull, until",
        ),
        (
            {"storage": "mars"},
            "storage",
            "expected an object of kind, region, namePrefix, onDestroy, "
            "bucket, endpoint, accessKey, secretKey, pathStyle, rootDirectory, movedFrom",
        ),
        ({"users": "ci"}, "users", "expected an object of <name>"),
        ({"registry": {"resources": 5}}, "registry.resources", "expected an object of cpu, memory"),
        (
            {"registry": ["x"]},
            "registry",
            "expected an object of image, replicas, parallelUploads, redirect, readOnly, "
            "proxyImage, resources",
        ),
        (
            {"registry": '{"replicas": 2}'},
            "registry",
            "expected an object, but this is the text of one",
        ),
        (
            {"tls": {"mode": "acme", "secretName": "x"}},
            "tls.secretName",
            "expected with mode secret or certManager only",
        ),
        (
            {"storage": {"kind": "spaces", "bucket": "abc"}},
            "storage.bucket",
            "expected with kind s3 only",
        ),
        ({"tls": {"resolver": "le"}}, "tls.mode", "expected acme, the mode with resolver"),
        ({"pullSecrets": {"namespaces": "a"}}, "pullSecrets.namespaces", "expected a list"),
        (
            {"pullSecrets": {"namespaces": {"a": "b"}}},
            "pullSecrets.namespaces",
            "expected a valid list",
        ),
    ],
)
def test_a_key_or_section_that_is_not_read_is_refused(
    slip: dict[str, Any], key: str, expected: str
) -> None:
    (problem,) = problems(GOOD | slip)
    assert (problem.key, problem.expected) == (key, expected)


def test_an_ambiguous_name_without_its_section_is_not_guessed() -> None:
    (problem,) = problems({**GOOD, "image": "registry:3.1.2"})
    assert problem.fix == "pulumi config rm image"


def test_a_user_who_is_no_object_has_no_rights_either() -> None:
    word, rights = problems({**GOOD, "users": {"ci": "*"}})
    assert (word.key, word.expected) == ("users.ci", "expected an object of push, pull, until")
    assert rights.key == "users.ci"


def test_a_word_is_checked_where_it_was_meant_to_be() -> None:
    tls, issuer = problems({**GOOD, "tls": "certmanager"})
    assert (tls.key, tls.value) == ("tls", '"certmanager"')
    assert issuer.key == "tls.issuer"


@pytest.mark.parametrize("slip", [{"regsitry": ["x"]}, {"hostname.x": "1"}, {"zzz": {"a": 1}}])
def test_what_has_no_place_is_removed(slip: dict[str, Any]) -> None:
    (problem,) = problems(GOOD | slip)
    assert problem.fix == f"pulumi config rm {next(iter(slip))}"
    assert problem.value == "[not shown]"
    assert problem.expected.startswith("unknown key; known are hostname, ")


def test_a_key_that_looks_like_a_path_is_removed_to_the_letter() -> None:
    (problem,) = problems({**GOOD, "storage.region": "fra1"})
    assert problem.fix.endswith(" && pulumi config rm storage.region")


def test_odd_names_are_quoted_as_pulumi_expects_them() -> None:
    (problem,) = problems({**GOOD, "storage": {"a.b": "x"}})
    assert problem.key == 'storage["a.b"]'
    assert problem.fix == "pulumi config rm --path 'storage[\"a.b\"]'"


def test_a_value_that_looks_like_a_flag_is_none() -> None:
    (problem,) = problems({**GOOD, "registry": {"parallelUpload": -1}})[:1]
    assert problem.fix == (
        "pulumi config set --path registry.parallelUploads -- -1 && "
        "pulumi config rm --path registry.parallelUpload"
    )


@pytest.mark.parametrize(("name", "flag"), [("Abcdef", ""), ("Abcdefg", "--plaintext ")])
def test_the_name_of_a_secret_is_not_taken_for_a_secret_by_pulumi(name: str, flag: str) -> None:
    (problem,) = problems({**GOOD, "tls": {"secretName": name}})
    assert problem.fix == f"pulumi config set --path {flag}tls.secretName {name.lower()}"
    (problem,) = problems({**GOOD, "ingress": {"className": name}})
    assert problem.fix == f"pulumi config set --path ingress.className {name.lower()}"


def test_a_list_that_is_none_of_text_is_removed() -> None:
    (problem,) = problems({**GOOD, "pullSecrets": {"namespaces": {"a": "b"}}})
    assert problem.fix == "pulumi config rm --path pullSecrets.namespaces"
