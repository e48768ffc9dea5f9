"""What a walk finds in a bucket."""

from __future__ import annotations

import json

import pytest

from scripts.walk import ROOT, SWEPT, Walk, blob_key, link_key, parse_manifest, swept_key, tag_key
from tests.unit.scripts.fake_registry import World, digest_of, done, image, index
from tests.unit.scripts.situations import INDEX, A, B, C

OLD, NEW = f"sha256:{'0' * 64}", f"sha256:{'1' * 64}"


def walked(world: World) -> Walk:
    return Walk(world.objects)


def test_a_walk_finds_blobs_layers_manifests_and_tags() -> None:
    world = World()
    done(world.pods[0].push("team/app", A, "1.2"))
    walk = walked(world)
    assert walk.blobs == {digest_of(x): len(x) for x in [*A.layers, A.manifest]}
    repository = walk.repositories["team/app"]
    assert repository.layers == {digest_of(layer) for layer in A.layers}
    assert set(repository.revisions) == {A.digest}
    assert repository.tags["1.2"].digest == A.digest
    assert walk.manifests[A.digest].layers == tuple(digest_of(layer) for layer in A.layers)


def test_a_tag_names_what_its_own_link_says_however_often_it_was_pushed() -> None:
    world = World()
    for pushed in (A, B, A):
        done(world.pods[0].push("r", pushed, "a"))
    # As if the last push had not been the only one to write its history.
    del world.objects.stored[tag_key("r", "a", A.digest)]
    assert walked(world).repositories["r"].tags["a"].digest == A.digest


def test_the_links_of_tags_are_told_by_their_md5_and_are_not_read() -> None:
    world = World()
    for pushed, tag in ((A, "a"), (A, "b"), (B, "c")):
        done(world.pods[0].push("r", pushed, tag))
    read = []
    world.objects.before = lambda method, key: read.append(key) if method == "GET" else None
    walked(world)
    assert sorted(read) == sorted(blob_key(x.digest) for x in (A, B))


def test_a_tag_is_known_whose_manifest_is_gone() -> None:
    world = World()
    done(world.pods[0].push("r", A, "a"))
    del world.objects.stored[link_key("r", "_manifests/revisions", A.digest)]
    assert walked(world).repositories["r"].tags["a"].digest == A.digest


def test_a_push_that_has_begun_counts_as_one() -> None:
    world = World()
    done(world.pods[0].push("r", A, "a"))
    world.objects.clock += 50
    world.objects.put(tag_key("r", "a", B.digest), B.digest.encode())
    tag = walked(world).repositories["r"].tags["a"]
    assert (tag.digest, tag.pushed) == (A.digest, world.objects.clock)


def test_a_tag_that_names_no_digest_is_not_understood() -> None:
    world = World()
    world.objects.put(tag_key("r", "a"), b"latest")
    walk = walked(world)
    assert walk.unclear == [f"{tag_key('r', 'a')} names no digest"]
    assert not walk.repositories["r"].tags


def test_a_deleted_tag_has_its_last_image() -> None:
    world = World()
    world.objects.put(tag_key("r", "a", NEW), b"")
    world.objects.clock -= 10
    world.objects.put(tag_key("r", "a", OLD), b"")
    assert walked(world).repositories["r"].dead_tags["a"].digest == NEW


def test_copies_of_deleted_blobs_are_told_from_blobs() -> None:
    world = World()
    world.objects.put(swept_key(OLD), b"123")
    walk = walked(world)
    assert walk.swept[OLD].size == 3
    assert not walk.blobs
    assert swept_key(OLD) == f"{SWEPT}sha256/{'0' * 64}"


def test_a_second_look_sees_what_was_pushed_since() -> None:
    world = World()
    walk = walked(world)
    done(world.pods[0].push("r", INDEX, "a"))
    walk.look()
    assert walk.manifests.keys() == {INDEX.digest, A.digest, C.digest}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"a"', b"{}", b'{"schemaVersion": 1}'])
def test_a_manifest_that_is_none_is_not_understood(content: bytes) -> None:
    world = World()
    digest = digest_of(content)
    world.objects.put(blob_key(digest), content)
    world.objects.put(link_key("r", "_manifests/revisions", digest), digest.encode())
    walk = walked(world)
    assert [line.startswith(f"the manifest {digest}") for line in walk.unclear] == [True]


def test_a_manifest_with_other_content_is_damaged() -> None:
    world = World()
    done(world.pods[0].push("r", A, "a"))
    world.objects.put(blob_key(A.digest), B.manifest)
    walk = walked(world)
    assert walk.damaged == {A.digest}
    assert not walk.manifests, "what it says is worth nothing"


def test_an_index_refers_to_its_children_and_a_signature_to_its_subject() -> None:
    assert parse_manifest(INDEX.manifest).children == (A.digest, C.digest)
    signature = parse_manifest(image(b"signature", subject=A.digest).manifest)
    assert signature.subject == A.digest
    assert A.digest not in signature.layers + signature.children + signature.optional


def test_a_layer_with_urls_may_be_somewhere_else() -> None:
    manifest = json.loads(A.manifest)
    manifest["layers"][0]["urls"] = ["https://example.com"]
    parsed = parse_manifest(json.dumps(manifest).encode())
    assert parsed.optional == (digest_of(A.layers[1]),)
    assert digest_of(A.layers[1]) not in parsed.layers


def test_an_old_manifest_refers_to_its_layers() -> None:
    content = {"schemaVersion": 1, "fsLayers": [{"blobSum": OLD}, {"blobSum": NEW}]}
    assert parse_manifest(json.dumps(content).encode()).layers == (OLD, NEW)


def test_every_digest_counts_in_a_manifest_of_an_unknown_kind() -> None:
    content = {"schemaVersion": 2, "parts": {"x": [OLD, {"y": NEW}]}, "note": "no digest"}
    assert parse_manifest(json.dumps(content).encode()).optional == (OLD, NEW)


def test_keys_of_others_in_the_bucket_are_left_alone() -> None:
    world = World()
    for key in (f"{ROOT}blobs/README", f"{ROOT}repositories/README", "docker/x", "other/y"):
        world.objects.put(key, b"")
    walk = walked(world)
    assert not walk.blobs
    assert not walk.repositories


def test_the_time_is_that_at_which_the_walk_began() -> None:
    world = World()
    done(world.pods[0].push("r", index(A), "a"))
    began = world.objects.clock

    def tick(*_: str) -> None:
        world.objects.clock += 1

    world.objects.before = tick
    assert walked(world).now == began + 1
