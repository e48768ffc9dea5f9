"""One run of the maintenance: usage, lost images, and what tags name."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import pytest

from components.maintenance import cache_limits
from scripts.maintenance import history, maintain, state, usage_history
from scripts.maintenance.clock import DAY
from scripts.maintenance.keys import CACHES, REVISIONS, ROOT, blob_key, link_key, tag_key
from scripts.maintenance.maintain import Maintenance, Task
from scripts.maintenance.references import FOLDER
from scripts.maintenance.registry_pods import Pods
from scripts.maintenance.retention import Retention
from scripts.shared.objects import StorageError
from settings.cache import CacheSettings
from tests.unit.scripts.fake_bucket import (
    INDEX,
    MANIFEST,
    OF_BOTH,
    A,
    B,
    C,
    FakeBucket,
    Image,
    digest_of,
    image,
)
from tests.unit.scripts.fake_registry import TIMES

LAYER = digest_of(A.layers[1])


@pytest.fixture
def bucket() -> FakeBucket:
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    return bucket


def run(bucket: FakeBucket) -> bool:
    task = Task("one stack", Pods("nobody.invalid:1", "", ""), Retention(), False, False, TIMES)
    with mock.patch("time.time", lambda: bucket.clock):
        return Maintenance(bucket, task).run()


def test_a_whole_bucket_is_shown_and_its_tags_are_remembered(
    bucket: FakeBucket, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.push("r", OF_BOTH, "both")
    before = dict(bucket.stored)
    assert run(bucket)
    output = capsys.readouterr().out
    assert output.startswith("repository")
    assert f"a collection would free 0 B: {maintain.COLLECT}\n" in output
    assert "7 match their digests" in output
    tags = history.load(bucket).tags["r"]
    assert {tag: x.digest for tag, x in tags.items()} == {"a": A.digest, "both": OF_BOTH.digest}
    assert before.items() <= bucket.stored.items()
    new = {key for key in bucket.stored.keys() - before.keys() if not key.startswith(FOLDER)}
    assert new == {history.KEY, state.KEY, usage_history.KEY, usage_history.TABLE_KEY}


def test_a_manifest_is_read_once(bucket: FakeBucket) -> None:
    assert run(bucket)
    bucket.read.clear()
    bucket.push("r", B, "b")
    with mock.patch("random.sample", lambda *_: []):
        assert run(bucket)
    read = {key for key in bucket.read if "/blobs/" in key}
    assert read == {blob_key(B.digest)}, "a manifest never changes, and a bucket has many"


def test_a_layer_with_a_digest_of_another_algorithm_is_not_lost_while_its_blob_is_there(
    bucket: FakeBucket, capsys: pytest.CaptureFixture[str]
) -> None:
    alias = f"sha512:{'0' * 128}"
    other = Image(A.manifest.replace(LAYER.encode(), alias.encode()), A.layers)
    bucket.push("other", other, "a")
    bucket.put(link_key("other", "_layers", alias), LAYER.encode())
    assert run(bucket)
    del bucket.stored[blob_key(LAYER)]
    assert not run(bucket)
    assert f"lost: other:a: its layer {alias} is not in the bucket" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (
            lambda stored: stored.pop(blob_key(A.digest)),
            f"lost: r:a: its manifest {A.digest} is not in the bucket",
        ),
        (
            lambda stored: stored.update({blob_key(A.digest): B.manifest}),
            f"lost: r:a: its manifest {A.digest} has other content",
        ),
        (
            lambda stored: stored.pop(blob_key(LAYER)),
            f"lost: r:a: its layer {LAYER} is not in the bucket",
        ),
        (
            lambda stored: stored.update({blob_key(LAYER): b"layer X"}),
            f"lost: r:a: its layer {LAYER} has other content",
        ),
    ],
)
def test_what_is_lost_is_a_failure(
    bucket: FakeBucket,
    capsys: pytest.CaptureFixture[str],
    harm: Callable[[dict[str, bytes]], object],
    message: str,
) -> None:
    harm(bucket.stored)
    assert not run(bucket)
    assert f"FAILED: {message}\n" in capsys.readouterr().out
    assert tag_key("r", "a") in bucket.stored


def test_a_manifest_that_an_image_needs_gets_its_link_back_where_its_layers_are(
    bucket: FakeBucket, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.push("r", OF_BOTH, "both")
    # A client deleted a platform of an index, and another one gave up while it deleted an image.
    for digest in (C.digest, A.digest):
        del bucket.stored[link_key("r", REVISIONS, digest)]
    assert run(bucket)
    output = capsys.readouterr().out
    assert f"given back: link of manifest r@{C.digest}" in output
    assert f"given back: link of manifest r@{A.digest}" in output
    assert bucket.pulls("r", A, "a")
    assert bucket.pulls("r", OF_BOTH, "both")


def test_nothing_of_another_repository_is_linked_for_who_only_refers_to_it(
    bucket: FakeBucket, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or whoever may push to one repository reads all others, whose digests are no secrets."""
    bucket.push("hidden", OF_BOTH, "1")
    config: dict[str, object] = {"mediaType": "application/vnd.oci.image.config.v1+json"}
    layer: dict[str, object] = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}
    own: dict[str, object] = {**config, "digest": digest_of(b"{}"), "size": 2}
    refer: tuple[dict[str, object], ...] = (
        # The registry looks for none of these when it takes the manifest.
        {"config": own, "layers": [{**layer, "digest": LAYER, "urls": ["https://example.com"]}]},
        {"manifests": [{**layer, "digest": LAYER}]},
        {"manifests": [{"mediaType": INDEX, "digest": OF_BOTH.digest, "size": 1}]},
        {"manifests": [{"mediaType": MANIFEST, "digest": C.digest, "size": 1}]},
        {"config": own, "layers": [], "annotations": {"base": C.digest}},
    )
    for number, more in enumerate(refer):
        document: dict[str, object] = {"schemaVersion": 2, **more}
        bucket.push("thief", Image(json.dumps(document).encode(), (b"{}",)), f"t{number}")
    for _ in range(3):
        run(bucket)
    mine = f"{ROOT}repositories/thief/"
    for digest in (LAYER, C.digest, A.digest, OF_BOTH.digest, *map(digest_of, C.layers)):
        value = digest.partition(":")[2]
        assert not [key for key in bucket.stored if key.startswith(mine) and f"/{value}/" in key]
    output = capsys.readouterr().out
    assert f"lost: thief:t3: its manifest {C.digest} is not in the repository" in output
    assert "given back" not in output


def test_the_child_of_an_index_and_a_signature_belong_to_their_image(
    bucket: FakeBucket, capsys: pytest.CaptureFixture[str]
) -> None:
    signature = image(b"signature", subject=OF_BOTH.digest)
    bucket.push("s", OF_BOTH, "both")
    bucket.push("s", signature)
    for lost in (digest_of(C.layers[0]), digest_of(b"signature")):
        del bucket.stored[blob_key(lost)]
    assert not run(bucket)
    output = capsys.readouterr().out
    assert f"s:both: its layer {digest_of(C.layers[0])} is not in the bucket" in output
    assert f"s:both: its layer {digest_of(b'signature')} is not in the bucket" in output


def test_what_no_tag_holds_is_not_lost(bucket: FakeBucket) -> None:
    bucket.push("r", B)
    del bucket.stored[blob_key(digest_of(B.layers[0]))]
    assert run(bucket)


def test_an_image_that_is_just_being_deleted_is_not_lost_and_does_not_come_back(
    bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    del bucket.stored[link_key("r", REVISIONS, A.digest)]
    monkeypatch.setattr("time.sleep", lambda _: bucket.delete_tag("r", "a"))
    assert run(bucket)
    assert link_key("r", REVISIONS, A.digest) not in bucket.stored


def test_what_was_damaged_is_compared_again_until_it_is_whole(
    bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bucket.stored[blob_key(LAYER)]
    bucket.stored[blob_key(LAYER)] = b"layer X"
    assert not run(bucket)
    monkeypatch.setattr("random.sample", lambda *_: [])
    assert not run(bucket), "an alert that goes by itself would hide it"
    bucket.stored[blob_key(LAYER)] = whole
    assert run(bucket)


def arguments(folder: Path) -> list[str]:
    (folder / "stack").write_text("0a1b registry.example.com")
    (folder / "password").write_text("secret")
    options = {
        "stack-file": str(folder / "stack"),
        "pods": "pods:1",
        "username": "maintenance",
        "password-file": str(folder / "password"),
        "keep-days": "7",
        "retention": '{"rules": [], "untagged_days": null}',
    }
    return [f"--{name}={value}" for name, value in options.items()]


def test_a_run_remembers_its_stack(
    bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(maintain, "objects_of", lambda _: nullcontext(bucket))
    monkeypatch.setattr("sys.argv", ["maintain", *arguments(tmp_path)])
    monkeypatch.setattr("time.time", lambda: bucket.clock)
    assert maintain.main() == 0
    ((identity, (_, name)),) = state.load(bucket).collectors.items()
    assert (identity, name) == ("0a1b", "registry.example.com")


def test_a_run_trims_caches_by_their_settings_and_shows_what_is_left(
    bucket: FakeBucket,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Also where nothing may be deleted of the images: a cache has nothing that is somebody's."""
    hub = CacheSettings.model_validate({"upstream": "docker.io", "keepDays": 3, "maxGib": 1})
    for name, days in (("hub/new", 2.9), ("hub/old", 3.1), ("no-longer-there/new", 0)):
        bucket.stored[f"{CACHES}{name}"] = b"four"
        bucket.modified[f"{CACHES}{name}"] = bucket.clock - days * DAY
    images = {key for key in bucket.stored if key.startswith(ROOT)}
    monkeypatch.setattr(maintain, "objects_of", lambda _: nullcontext(bucket))
    limits = f"--caches={cache_limits({'hub': hub})}"
    monkeypatch.setattr("sys.argv", ["maintain", *arguments(tmp_path), limits])
    monkeypatch.setattr("time.time", lambda: bucket.clock)
    assert maintain.main() == 0
    assert [x for x in bucket.stored if x.startswith(CACHES)] == [f"{CACHES}hub/new"]
    assert {key for key in bucket.stored if key.startswith(ROOT)} == images
    assert "\ncache hub:                4 B\n" in capsys.readouterr().out


def test_storage_that_fails_changes_nothing_and_is_a_failure(
    bucket: FakeBucket,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    def refuse(_: object) -> None:
        raise StorageError("GET /: 403")

    before = dict(bucket.stored)
    monkeypatch.setattr(bucket, "list", refuse)
    monkeypatch.setattr(maintain, "objects_of", lambda _: nullcontext(bucket))
    monkeypatch.setattr("sys.argv", ["maintain", *arguments(tmp_path)])
    assert maintain.main() == 1
    assert capsys.readouterr().out == "FAILED: GET /: 403\n"
    assert bucket.stored == before
