"""What each step of one run of the collection promises, when the steps before it did little."""

from __future__ import annotations

import json

import pytest

from scripts.maintenance.keys import (
    LAYERS,
    REVISIONS,
    blob_key,
    link_key,
    swept_key,
    tag_key,
)
from scripts.maintenance.plan import Times
from scripts.maintenance.retention import Retention
from scripts.maintenance.state import KEY
from tests.unit.scripts.fake_bucket import MANIFEST, OF_BOTH, A, B, Image, digest_of, image
from tests.unit.scripts.fake_registry import World, done
from tests.unit.scripts.situations import LAST, UNTAGGED, deleted, expired, overwritten


def unlinked(world: World) -> None:
    """Collect until the links of A's layers are gone."""
    while link_key("r", LAYERS, digest_of(A.layers[1])) in world.objects.stored:
        world.collect()


def test_a_layer_stays_for_the_grace_after_the_last_pod_has_forgotten_it() -> None:
    """Until then a push that counts on it may be under way."""
    world = World()
    deleted(world)
    world.forgetting.reachable = False
    unlinked(world)
    for _ in range(5):
        world.collect()
    world.forgetting.reachable = True
    world.collect()
    assert all(world.has(layer) for layer in A.layers)
    world.collect()
    assert not any(world.has(layer) for layer in A.layers)


def test_a_layer_that_was_forgotten_stays_while_no_pod_can_be_asked_whether_it_knows_it_again() -> (
    None
):
    world = World()
    deleted(world)
    unlinked(world)
    world.forgetting.reachable = False
    for _ in range(5):
        collection = world.collect()
    assert "no blob is deleted" in collection.problem
    assert all(world.has(layer) for layer in A.layers)


def test_a_layer_that_was_pushed_again_and_deleted_again_is_forgotten_again() -> None:
    world = World()
    deleted(world)
    times = Times(keep=1000, grace=5000)
    link = link_key("r", LAYERS, digest_of(A.layers[1]))
    while link in world.objects.stored:
        world.collect(times)
    assert done(world.pods[0].push("r", A, "a"))
    assert done(world.pods[0].delete("r", REVISIONS, A.digest)) == 202
    world.forgetting.reachable = False
    while link in world.objects.stored:
        world.collect(times)
    remembered = json.loads(world.objects.stored[KEY])["unlinked"][digest_of(A.layers[1])]
    assert remembered["forgotten"] == 0, "pods know it again since then"


def test_who_counts_on_a_layer_while_it_is_unlinked_has_it_back_in_the_same_run() -> None:
    """Even if the run deletes no blob, before which it looks again anyway."""
    world = World(UNTAGGED)
    overwritten(world)
    link = link_key("r", LAYERS, digest_of(A.layers[1]))
    pushed = False

    def before(method: str, key: str) -> None:
        nonlocal pushed
        if method == "DELETE" and key == link and not pushed:
            pushed = True
            assert done(world.pods[0].push("r", A, "a"))

    world.objects.before = before
    while not pushed:
        collection = world.collect()
    assert f"given back: link of layer r@{digest_of(A.layers[1])}" in collection.report
    assert any(line.startswith("unlinked: ") for line in collection.report)
    assert not world.broken("r", A, "a")


def test_what_is_needed_again_meanwhile_is_not_deleted_even_for_a_moment() -> None:
    """A pull in that moment would fail, though the next look gives it back."""
    world = World(UNTAGGED)
    overwritten(world)
    blob, pushed, deletions = blob_key(A.digest), False, list[str]()

    def before(method: str, key: str) -> None:
        nonlocal pushed
        if method == "COPY" and key == blob and not pushed:
            pushed = True
            # It is there, so the registry writes links only.
            assert done(world.pods[0].push("r", A, "a"))
        elif method == "DELETE":
            deletions.append(key)

    world.objects.before = before
    while not pushed:
        world.collect()
    assert blob not in deletions
    assert not world.broken("r", A, "a")


def test_which_link_was_deleted_is_remembered_with_its_repository() -> None:
    """It is the proof by which a push beside it gets it back."""
    world = World(UNTAGGED)
    overwritten(world)
    while link_key("r", REVISIONS, A.digest) in world.objects.stored:
        world.collect()
    dropped = json.loads(world.objects.stored[KEY])["dropped"]
    assert {name: [*moments] for name, moments in dropped.items()} == {"r": [A.digest]}


def test_the_histories_of_all_tags_that_expired_go_in_the_same_run() -> None:
    world = World(LAST)
    assert done(world.pods[0].push("r", image(b"config o", b"layer o"), "older"))
    world.objects.clock += 5
    expired(world)

    def histories() -> set[str]:
        tags = (key.split("/")[-5] for key in world.objects.stored if "/index/" in key)
        return {tag for tag in tags if tag != "b"}

    assert histories() == {"older", "a"}
    while histories() == {"older", "a"}:
        world.collect()
    assert histories() == set()


def test_a_signature_whose_image_is_deleted_between_two_runs_expires_by_its_rule() -> None:
    """That the image was there is remembered from run to run."""
    world = World(LAST)
    signature = image(b"config s", b"layer s")
    tag = f"sha256-{A.digest[7:]}.sig"
    deleted_later = world.pods[0]
    assert done(deleted_later.push("r", A, "a"))
    assert done(deleted_later.push("r", signature, tag))
    world.objects.clock += 5
    assert done(deleted_later.push("r", B, "b"))
    world.collect()
    assert tag_key("r", tag) in world.objects.stored
    assert done(deleted_later.delete("r", REVISIONS, A.digest)) in {202, 404}
    for _ in range(4):
        world.collect()
    assert tag_key("r", tag) not in world.objects.stored


def test_what_came_back_is_told_also_if_something_else_is_lost() -> None:
    world = World(Retention())
    assert done(world.pods[0].push("r", OF_BOTH, "index"))
    assert done(world.pods[0].push("r", image(b"config d", b"layer 4"), "d"))
    del world.objects.stored[blob_key(digest_of(b"layer 4"))]
    del world.objects.stored[link_key("r", REVISIONS, A.digest)]
    collection = world.collect()
    assert collection.health.lost
    assert f"given back: link of manifest r@{A.digest}" in collection.report


def test_what_a_run_leaves_for_the_next_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.maintenance.plan.MOST_BLOBS", 1)
    world = World()
    deleted(world)
    reports = [world.collect().report for _ in range(9)]
    assert any("waiting: 2 blobs could go by now" in report for report in reports)


def test_what_a_repository_only_refers_to_is_lost_there_and_all_of_it_stays() -> None:
    world = World(LAST)
    expired(world)
    assert done(world.pods[0].push("other", OF_BOTH, "index"))
    child = {"mediaType": MANIFEST, "digest": OF_BOTH.children[1].digest, "size": 1}
    document = json.dumps({"schemaVersion": 2, "manifests": [child]}).encode()
    world.objects.push("r", Image(document), "refers")
    collection = world.collect()
    assert {x.repository for x in collection.health.lost} == {"r"}
    for _ in range(5):
        world.collect()
    assert not world.broken("r", A, "a"), "the rule would delete it"


def test_only_of_manifests_that_nothing_names_it_is_remembered_that_they_are_there() -> None:
    """Each of them is asked for if a list does not show it."""
    world = World()
    assert done(world.pods[0].push("r", OF_BOTH, "index"))
    signature = image(b"signature", subject=OF_BOTH.digest)
    assert done(world.pods[0].push("r", signature))
    world.collect()
    state = world.collect()._state
    assert state.unnamed == {"r": [signature.digest]}


def test_all_that_came_back_is_told() -> None:
    world = World()
    assert done(world.pods[0].push("r", A, "a"))
    layer = digest_of(A.layers[1])
    world.objects.stored[swept_key(layer)] = world.objects.stored.pop(blob_key(layer))
    del world.objects.stored[link_key("r", LAYERS, layer)]
    report = world.collect().report
    assert {f"given back: blob {layer}", f"given back: link of layer r@{layer}"} <= {*report}
    assert not world.broken("r", A, "a")


def test_a_blob_comes_back_from_a_copy_that_no_list_shows_though_nothing_links_it() -> None:
    """The copy may have been made while the bucket was listed."""
    world = World()
    assert done(world.pods[0].push("r", A, "a"))
    layer = digest_of(A.layers[1])
    world.objects.stored[swept_key(layer)] = world.objects.stored.pop(blob_key(layer))
    del world.objects.stored[link_key("r", LAYERS, layer)]
    world.objects.hides = lambda key: key == swept_key(layer)
    assert f"given back: blob {layer}" in world.collect().report
    assert not world.broken("r", A, "a")


def test_what_an_image_only_mentions_comes_back_where_there_is_a_copy() -> None:
    """As the base of an image, which an annotation names."""
    world = World()
    base = digest_of(b"base")
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(b"{}")}
    document = {"config": config, "layers": [], "annotations": {"base": base}}
    mentions = Image(json.dumps({"schemaVersion": 2, **document}).encode(), (b"{}",))
    assert done(world.pods[0].push("r", mentions, "a"))
    world.objects.put(swept_key(base), b"base")
    world.collect()
    assert world.has(b"base")


@pytest.mark.parametrize("where", ["r", "other", ""])
def test_a_link_comes_back_only_where_the_collection_has_deleted_it(where: str) -> None:
    """The registry asks for no entry of an index of layers, so to refer to one proves nothing."""
    world = World()
    entry = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest_of(b"cache")}
    document = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    world.objects.push("r", Image(document), "cache")
    world.objects.push("r", OF_BOTH, "index")
    child, layer = OF_BOTH.children[1], digest_of(b"cache")
    world.objects.put(blob_key(layer), b"cache")
    world.collect().save()
    for part in child.layers:
        world.objects.stored.pop(link_key("r", LAYERS, digest_of(part)), None)
    del world.objects.stored[link_key("r", REVISIONS, child.digest)]
    state = json.loads(world.objects.stored[KEY])
    now = world.objects.clock
    state["dropped"] = {where: {child.digest: now}}
    state["unlinked"] = {layer: {"repositories": [where], "forgotten": now}}
    world.objects.put(KEY, json.dumps(state).encode())
    report = world.collect().report
    assert (f"given back: link of layer r@{layer}" in report) == (where == "r")
    assert (f"given back: link of manifest r@{child.digest}" in report) == (where == "r")
