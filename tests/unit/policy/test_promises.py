"""Each sentence of docs/policies.md holds: no program that was made to break it passes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from policy.cloud import BUCKET, OBJECT
from policy.policies import POLICIES
from tests.unit.policy import breaches, leaking, open_ways
from tests.unit.policy.analyzer import UNKNOWN, Reports, refused, refused_object, refused_stack
from tests.unit.policy.breaches import Breach, Stack

OF_RESOURCES: dict[str, Callable[[], Iterator[Breach]]] = {
    "restricted-pods": breaches.unrestricted,
    "restricted-namespaces": breaches.open_doors,
    "pinned-images": breaches.unpinned,
    "known-objects": breaches.unknown,
    "tls": open_ways.plain,
    "no-cloud-credentials": open_ways.to_link_local,
    "narrow-rights": breaches.broad_rights,
    "private-space": breaches.public_spaces,
    "kept-images": breaches.lost_images,
    "narrow-storage-keys": breaches.broad_keys,
    "secrets-by-name": leaking.named_like_secrets,
}
OF_STACKS: dict[str, Callable[[], Iterator[Stack]]] = {
    "closed-namespaces": open_ways.open_namespaces,
    "narrow-key-in-the-cluster": leaking.leaked_bootstrap_keys,
    "secrets-by-value": leaking.leaks,
}


def test_each_policy_has_its_sentence_and_its_breaches() -> None:
    page = (Path(__file__).parents[3] / "docs/policies.md").read_text()
    names = [policy.name for policy in POLICIES]
    assert re.findall(r"^\| `([a-z-]+)` \| [a-zA-Z]", page, re.MULTILINE) == names
    assert {*OF_RESOURCES, *OF_STACKS} == set(names)


def reports(kind: str, inputs: dict[str, object]) -> Reports:
    return refused(kind, inputs) if ":" in kind else refused_object(kind, inputs)


@pytest.mark.parametrize("policy", OF_RESOURCES)
def test_no_breach_by_a_resource_passes(policy: str) -> None:
    made = list(OF_RESOURCES[policy]())
    passed = [breach for breach in made if policy not in reports(*breach)]
    assert made
    assert not passed, f"{len(passed)} of {len(made)}, such as {passed[0]}"


@pytest.mark.parametrize("policy", OF_STACKS)
def test_no_breach_by_a_stack_passes(policy: str) -> None:
    made = list(OF_STACKS[policy]())
    passed = [stack for stack in made if policy not in refused_stack(*stack)]
    assert made
    assert not passed, f"{len(passed)} of {len(made)}, such as {passed[0]}"


def test_whatever_leaves_out_link_local_addresses_passes() -> None:
    for kind, inputs in open_ways.past_link_local():
        assert reports(kind, inputs) == {}, inputs


def test_an_ingress_with_a_certificate_for_each_host_passes() -> None:
    """One for no host is for all, and Traefik's annotation does without."""
    for tls, annotated in (
        ([{"hosts": ["b.c"]}, {"hosts": ["a.b"]}], {}),
        ([{"secretName": "x"}], {}),
        (None, {"traefik.ingress.kubernetes.io/router.tls": "true"}),
    ):
        spec = {"tls": tls, "rules": [{"host": "a.b"}]}
        ingress = {"metadata": {"annotations": annotated}, "spec": spec}
        assert reports("Ingress", ingress) == {}, ingress


def test_rights_on_secrets_by_name_pass_and_so_does_creating_them() -> None:
    named = {"resourceNames": ["a"], "verbs": ["get", "patch"]}
    for part in (named, {"verbs": ["create"]}, {"resources": UNKNOWN}, {"resourceNames": UNKNOWN}):
        rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], **part}
        assert reports("Role", {"rules": [rule]}) == {}, rule
    assert reports("RoleBinding", {"roleRef": {"kind": "Role", "name": "a"}}) == {}


def test_a_space_whose_unfinished_uploads_end_passes() -> None:
    rule = {"id": "a", "enabled": True, "abortIncompleteMultipartUploadDays": 7}
    space = {"acl": "private", "forceDestroy": False, "lifecycleRules": [rule]}
    assert reports(BUCKET, space) == {}
    assert reports(OBJECT, {"acl": "private"}) == reports(OBJECT, {}) == {}
