"""What manifests refer to: every digest in their text, and what of them is understood."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest

from scripts.maintenance.references import (
    MOST_FOREIGN,
    Manifest,
    digests,
    read_manifest,
)
from tests.unit.scripts.fake_bucket import (
    INDEX,
    OF_BOTH,
    A,
    C,
    digest_of,
    image,
)

FIRST, SECOND, THIRD = (f"sha256:{digit * 64}" for digit in "012")
SECRET = "hunter2"


def document(**fields: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, **fields}).encode()


def layer(digest: str, **fields: Any) -> dict[str, Any]:
    return {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, **fields}


def test_an_image_refers_to_its_configuration_and_its_layers() -> None:
    layers = tuple(map(digest_of, A.layers))
    assert read_manifest(A.manifest) == Manifest(layers=layers, checked=True)


def test_an_index_refers_to_its_children() -> None:
    assert read_manifest(OF_BOTH.manifest) == Manifest(children=(A.digest, C.digest))


def test_what_describes_an_image_goes_although_that_is_there() -> None:
    signature = read_manifest(image(b"signature", subject=A.digest).manifest)
    assert signature.subject == A.digest
    assert A.digest not in signature.names


def test_a_subject_that_is_mentioned_elsewhere_stays() -> None:
    content = document(subject={"digest": FIRST}, annotations={"of": FIRST})
    assert read_manifest(content).names == (FIRST,)


def test_a_layer_with_urls_may_be_somewhere_else_and_stays_where_it_is_here() -> None:
    content = document(layers=[layer(FIRST, urls=["https://example.com"]), layer(SECOND)])
    manifest = read_manifest(content)
    assert (manifest.foreign, manifest.layers) == ((FIRST,), (SECOND,))
    assert {*manifest.blobs, *manifest.names} == {FIRST, SECOND}


def test_the_entries_of_an_index_that_are_no_manifests_are_layers() -> None:
    """BuildKit's caches have them: https://github.com/moby/buildkit/blob/master/README.md"""
    cache = "application/vnd.buildkit.cacheconfig.v0"
    entries = [layer(FIRST), {"mediaType": cache, "digest": SECOND}, {"digest": THIRD}]
    manifest = read_manifest(document(mediaType=INDEX, manifests=entries))
    assert (manifest.layers, manifest.children) == ((FIRST, SECOND), (THIRD,))


def test_an_old_manifest_refers_to_its_layers() -> None:
    content = document(schemaVersion=1, fsLayers=[{"blobSum": FIRST}, {"blobSum": SECOND}])
    assert read_manifest(content).layers == (FIRST, SECOND)


@pytest.mark.parametrize("schema_version", [2, "1"])
def test_nothing_counts_as_lost_for_a_list_that_the_registry_has_not_looked_at(
    schema_version: object,
) -> None:
    content = document(schemaVersion=schema_version, blobs=[layer(FIRST)], parts={"x": [SECOND]})
    manifest = read_manifest(content)
    assert (manifest.layers, manifest.others) == ((), (FIRST, SECOND))


@pytest.mark.parametrize(
    "content",
    [
        document(layers=None, config=None, manifests=None, subject=None),
        document(layers=[], config={}, subject={}),
        document(layers=[], manifests=[]),
        b"{}",
        document(annotations={"number": 10**9}).replace(b"1000000000", b"9" * 5000),
        document(annotations={"author": "M\u00fcller"}).replace(b"\\u00fc", b"\xfc"),
        b'{"size": NaN, "other": 1e999999}',
    ],
)
def test_what_go_reads_is_understood(content: bytes) -> None:
    assert read_manifest(content) == Manifest()


def test_an_image_with_an_empty_list_of_manifests_has_its_layers() -> None:
    manifest = read_manifest(document(config=layer(FIRST), layers=[layer(SECOND)], manifests=[]))
    assert manifest == Manifest(layers=(FIRST, SECOND), checked=True)


KEYS = ["LAYERS", "Layers", "layer\u017f", "\\u006cayers"]


@pytest.mark.parametrize("key", KEYS)
def test_the_case_of_a_key_does_not_matter(key: str) -> None:
    """So Go's encoding/json reads it, which folds the long s, too."""
    manifest = read_manifest(f'{{"{key}": [{{"Digest": "{FIRST}"}}]}}'.encode())
    assert manifest == Manifest(layers=(FIRST,), checked=True)


@pytest.mark.parametrize("key", KEYS)
def test_of_a_key_that_is_there_twice_nobody_knows_what_the_registry_has_looked_for(
    key: str,
) -> None:
    listed = f'[{{"Digest": "{FIRST}"}}]'
    manifest = read_manifest(f'{{"layers": [], "{key}": {listed}}}'.encode())
    assert manifest == Manifest(layers=(FIRST,), checked=False)
    manifest = read_manifest(f'{{"{key}": {listed}, "layers": []}}'.encode())
    assert manifest == Manifest(others=(FIRST,)), "it stays, whoever reads it how"


def test_the_registry_looks_for_the_layers_of_images_only() -> None:
    """Whoever may push anywhere could else have any layer linked, and read it."""
    image = {"config": layer(FIRST), "layers": [layer(SECOND), layer(THIRD, urls=["https://x"])]}
    assert read_manifest(document(**image)).checked
    assert THIRD not in read_manifest(document(**image)).layers
    assert not read_manifest(document(manifests=[layer(FIRST)])).checked
    old = document(**image, fsLayers=[{"blobSum": THIRD}]).replace(b": 2", b": 1", 1)
    assert not read_manifest(old).checked


def nested(depth: int) -> bytes:
    return b'{"x": "%s", "y": %s%s}' % (FIRST.encode(), b"[" * depth, b"]" * depth)


ODD = {
    "nothing": b"",
    "half of it": A.manifest[:-9],
    "a list": b'["%s"]' % FIRST.encode(),
    "a text": b'"%s"' % FIRST.encode(),
    "null": b"null",
    "binary": bytes(range(256)) + FIRST.encode(),
    "layers in a text": document(layers=FIRST),
    "layers in an object": document(layers={"a": layer(FIRST)}),
    "a layer in a text": document(layers=[FIRST]),
    "a layer without a digest": document(layers=[{"size": 1}], note=FIRST),
    "a digest that is none": document(layers=[layer(SECRET)]),
    "a digest that is a number": document(layers=[{"digest": 7}]),
    "a subject in a text": document(subject=SECRET),
    "a type that is a list": document(manifests=[{"digest": FIRST, "mediaType": [SECRET]}]),
    "an image and an index": document(layers=[layer(FIRST)], manifests=[{"digest": SECOND}]),
    "too many foreign layers": document(
        layers=[layer(f"sha256:{n:064}", urls=["x"]) for n in range(MOST_FOREIGN + 1)]
    ),
    "a byte order mark": b"\xef\xbb\xbf" + A.manifest,
    "deep": nested(200_000),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_manifest_holds_what_it_names_and_says_nothing_of_what_is_in_it(kind: str) -> None:
    content = ODD[kind]
    manifest = read_manifest(content)
    assert manifest.odd
    assert manifest == Manifest(others=tuple(digests(content)), odd=manifest.odd)
    assert re.fullmatch("its? [A-Za-z0-9: ]{3,50}|something in it has no digest", manifest.odd)
    assert SECRET not in manifest.odd


@pytest.mark.parametrize("depth", [900, 1_100, 9_997, 9_998])
def test_a_manifest_that_go_takes_is_read_or_odd_however_deep_it_is(depth: int) -> None:
    manifest = read_manifest(nested(depth))
    assert manifest.others == (FIRST,)
    assert manifest.odd in {"", "its JSON is nested too deep"}


def test_every_digest_is_found_wherever_and_however_it_is_written() -> None:
    """Compared with a real parser of JSON: it decodes each text of generated documents."""
    chosen = random.Random(1)  # noqa: S311 - the same documents in each run
    for _ in range(300):
        named: list[str] = []
        text = json.dumps(_value(chosen, named, 0), ensure_ascii=chosen.random() < 0.5)
        content = _escaped(chosen, text).encode()
        assert json.loads(content) == json.loads(text), "the generator is right"
        assert {*named} <= {*digests(content)}


def _digest(chosen: random.Random) -> str:
    algorithm, length = chosen.choice([("sha256", 64), ("sha384", 96), ("sha512", 128)])
    return f"{algorithm}:{''.join(chosen.choices('0123456789abcdef', k=length))}"


def _value(chosen: random.Random, named: list[str], depth: int) -> Any:
    kind = chosen.randrange(4 if depth > 4 else 7)
    if kind < 2:
        named.append(_digest(chosen))
        # Beside what may be part of it, or of another one.
        before, after = (
            chosen.choice(["", " ", "x", "a1", "\u00fc", '"', "\\", "@"]) for _ in "ab"
        )
        return before + named[-1] + after
    if kind < 4:
        return chosen.choice([None, True, 1.5, -3, "sha256:", "sha256:abc", ":" * 9, "\\u0073"])
    keys = [chosen.choice(["layers", "LayerS", "a\\b", "\u212a", _digest(chosen)]) for _ in "abc"]
    named += [key for key in keys if ":" in key]
    values = [_value(chosen, named, depth + 1) for _ in keys]
    if kind == 4:
        return values + keys
    # A key that comes twice keeps its last value only, in Python; both are in the text.
    return dict(zip(keys, values, strict=True)) | {"all": values, "keys": keys}


def _escaped(chosen: random.Random, text: str) -> str:
    """Escape some letters and digits within strings; what is outside of strings is left alone."""

    def escape(match: re.Match[str]) -> str:
        pieces = re.findall(r"\\u....|\\.|.", match[1])
        written = [
            f"\\u{ord(x):04{chosen.choice('xX')}}" if len(x) == 1 and chosen.random() < 0.2 else x
            for x in pieces
        ]
        return f'"{"".join(written)}"'

    return re.sub(r'"((?:[^"\\]|\\.)*)"', escape, text)


@pytest.mark.parametrize("piece", [b"a", b"a1:", b"sha256:", b"\\u0073", b"0123456789abcdef"])
def test_a_text_of_megabytes_takes_no_more_than_its_length(piece: bytes) -> None:
    """Without that this does not end: a search that begins anew at each letter of a word takes
    hours, and so would each run."""
    assert digests(piece * (4 * 2**20 // len(piece))) == []


def test_a_digest_of_an_algorithm_that_is_not_known_yet_is_found_too() -> None:
    """What it names stays: a later registry may know it."""
    named = (f"blake3:{'0f' * 32}", f"md5:{'0' * 32}")
    text = {"annotations": {"of": f"{' and '.join(named)}, not md5:0f"}}
    assert read_manifest(json.dumps(text).encode()).names == named
