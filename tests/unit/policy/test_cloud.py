"""The Space and its keys; each rule with a resource that breaks it."""

from __future__ import annotations

from typing import Any

import pulumi_digitalocean as digitalocean
import pytest

from policy.cloud import BUCKET, KEY, OPENINGS
from tests.unit.policy.analyzer import UNKNOWN, refused, urn

NARROW = {"bucket": "images", "permission": "readwrite"}
ALL = {"bucket": "", "permission": "fullaccess"}


def test_the_policies_know_the_types_as_the_sdk_does() -> None:
    assert (BUCKET, KEY, *OPENINGS) == tuple(
        getattr(kind, "pulumi_type")  # noqa: B009 - its type does not have it
        for kind in (
            digitalocean.SpacesBucket,
            digitalocean.SpacesKey,
            digitalocean.Cdn,
            digitalocean.SpacesBucketPolicy,
        )
    )


@pytest.mark.parametrize("acl", ["public-read", None])
def test_a_public_space_is_refused(acl: str | None) -> None:
    assert list(refused(BUCKET, {"acl": acl}, protect=True)) == ["private-space"]
    assert refused(BUCKET, {"acl": UNKNOWN}, protect=True) == {}


@pytest.mark.parametrize("kind", OPENINGS)
def test_what_opens_a_space_besides_its_acl_is_refused(kind: str) -> None:
    assert list(refused(kind, {})) == ["private-space"]


def test_a_space_that_is_deleted_with_its_images_is_refused() -> None:
    space = {"acl": "private", "forceDestroy": True}
    assert list(refused(BUCKET, space)) == ["kept-images"]
    assert refused(BUCKET, space, protect=True) == {}
    assert refused(BUCKET, {**space, "forceDestroy": False}) == {}


@pytest.mark.parametrize(
    "grants",
    [
        None,
        [],
        [ALL],
        [NARROW, NARROW],
        [{**NARROW, "bucket": ""}],
        [{**NARROW, "permission": "fullaccess"}],
        [{"bucket": UNKNOWN, "permission": "fullaccess"}],
    ],
)
def test_a_storage_key_for_more_than_one_bucket_is_refused(grants: Any) -> None:
    assert list(refused(KEY, {"grants": grants})) == ["narrow-storage-keys"]


@pytest.mark.parametrize("grants", [UNKNOWN, [NARROW], [{**NARROW, "bucket": UNKNOWN}]])
def test_a_storage_key_for_one_bucket_passes(grants: Any) -> None:
    assert refused(KEY, {"grants": grants}) == {}


def test_only_the_bootstrap_key_opens_all_spaces() -> None:
    inputs = {"grants": [ALL]}
    assert refused(KEY, inputs, urn=urn(KEY, "bootstrap-key")) == {}
    for other in (urn(KEY, "other"), urn(KEY, "bootstrap-key", parent="registry:index:Space")):
        assert list(refused(KEY, inputs, urn=other)) == ["narrow-storage-keys"]
