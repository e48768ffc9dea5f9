"""What manifests refer to: read from their text, and remembered in the bucket.

A manifest never changes, so a run reads only those that are new.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import sys
import zlib
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from scripts.maintenance.keys import DIGEST, OWN
from scripts.shared.objects import Objects

MANIFEST_BYTES = 4 * 2**20
"""The largest manifest that the registry takes:
https://github.com/distribution/distribution/blob/v3.1.2/registry/handlers/manifests.go"""

LARGE_BYTES = 2**16
"""Larger ones are read and parsed one at a time: parsed, one can take 30 times as much memory."""

FOLDER = f"{OWN}references/1/"
"""The number changes when what is read from a text does."""

_SHARDS = "0123456789abcdef"
"""By the first digit of a digest, so that a push changes little of what is remembered."""

ALGORITHMS = {"sha256", "sha384", "sha512"}
"""Those of digests that the registry knows."""

MOST_FOREIGN = 1000
"""How many layers with URLs an image may have: the registry asks for none of them."""

_ESCAPED = re.compile(rb"\\u00([0-7][0-9a-fA-F])")
_KNOWN = re.compile(rb"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_ANY = re.compile(rb"(?<![a-z0-9])[a-z0-9]{1,16}:[0-9a-f]{32,}")
"""Begins where a word does, and ends soon: a text of megabytes takes no more than its length."""

_FIELDS = {"config", "layers", "manifests", "subject", "schemaversion", "fslayers"}
_FIELDS |= {"mediatype", "digest", "urls", "blobsum"}
_MANIFEST_TYPE = re.compile(r"manifest|index", re.IGNORECASE)


class Manifest(NamedTuple):
    """What a manifest refers to.

    Attributes:
        layers: The digests of what must be in its repository: configuration, layers, and entries
            of an index that are no manifests, as BuildKit's caches have them.
        children: Those of an index's manifests.
        foreign: Those of layers with URLs, which may be somewhere else.
        others: All further ones in its text but the subject's: what they are is not known.
        subject: That of the manifest that it describes; empty if it is none of its own.
        odd: Why the text is not understood; empty if it is. Then all of its digests are `others`.
        checked: Whether the registry has taken it only since its repository had all `layers`: it
            is an image. What an index has of layers is not looked for.
    """

    layers: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    subject: str = ""
    odd: str = ""
    checked: bool = False

    @property
    def blobs(self) -> tuple[str, ...]:
        """What has a link as a layer, where it is in the bucket."""
        return self.layers + self.foreign

    @property
    def names(self) -> tuple[str, ...]:
        """All that stays as long as this manifest does."""
        return self.layers + self.children + self.foreign + self.others


class _OddError(Exception):
    """A manifest is not understood; says why, without any of its content."""


_UNREADABLE = (OSError, EOFError, zlib.error, ValueError, TypeError, RecursionError, _OddError)
"""What reading raises of something that :class:`References` has not written."""


def digests(content: bytes) -> list[str]:
    """Return every digest in a text, each once.

    It is not parsed, so that no difference between JSON parsers can hide one. Escapes are resolved,
    and what is found without that counts, too.
    """
    resolved = _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), content)
    found: dict[bytes, None] = {}
    for text in {content, resolved}:
        for pattern in (_KNOWN, _ANY):
            found.update((match[0], None) for match in pattern.finditer(text))
    return [digest.decode() for digest in found]


def read_manifest(content: bytes) -> Manifest:
    """Return what a manifest or index refers to.

    https://github.com/opencontainers/image-spec/blob/main/manifest.md and image-index.md beside it;
    https://distribution.github.io/distribution/spec/deprecated-schema-v1/
    """
    named = digests(content)
    try:
        known = _parse(content)
    except RecursionError:
        return Manifest(others=tuple(named), odd="its JSON is nested too deep")
    except _OddError as error:
        return Manifest(others=tuple(named), odd=str(error))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # Never the message: it can hold what is in the manifest.
        return Manifest(others=tuple(named), odd=f"its JSON is odd: {type(error).__name__}")
    # A subject is named by what describes it, and goes although that is there.
    others = {*named} - {*known.names}
    if content.count(known.subject.encode()) == 1:
        others.discard(known.subject)
    return known._replace(others=tuple(sorted(others)))


def _parse(content: bytes) -> Manifest:
    text = content.decode(errors="replace")
    twice: list[str] = []

    def fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # As Go reads them: the case of a key does not matter, and the last one of a name counts.
        # All else is dropped at once: it can take 100 times as much memory as the text.
        known = [(name, value) for key, value in pairs if (name := key.casefold()) in _FIELDS]
        twice.extend(["twice"] * (len(known) - len(dict(known))))
        return dict(known)

    document = json.loads(
        text,
        object_pairs_hook=fields,
        parse_int=str,
        parse_float=str,
        parse_constant=str,
    )
    if not isinstance(document, dict):
        raise _OddError("its JSON is no object")
    layers: list[str] = []
    children: list[str] = []
    foreign: list[str] = []
    parts = [document["config"]] if document.get("config") else []
    parts += _list(document, "layers")
    entries = _list(document, "manifests")
    if parts and entries:
        # The registry goes by one of them, and has not asked whether the other is there.
        raise _OddError("it is an image and an index at once")
    for part in parts:
        (foreign if part.get("urls") else layers).append(_digest(part["digest"]))
    if document.get("schemaversion") == "1":
        layers += [_digest(layer["blobsum"]) for layer in _list(document, "fslayers")]
    for entry in entries:
        kind = entry.get("mediatype") or "manifest"
        (children if _MANIFEST_TYPE.search(kind) else layers).append(_digest(entry["digest"]))
    if len(foreign) > MOST_FOREIGN:
        raise _OddError(f"it has more than {MOST_FOREIGN} layers with URLs")
    subject = (document.get("subject") or {}).get("digest")
    return Manifest(
        layers=tuple(dict.fromkeys(layers)),
        children=tuple(dict.fromkeys(children)),
        foreign=tuple(dict.fromkeys(foreign)),
        subject=_digest(subject) if subject else "",
        # Go merges the elements of two lists of one name, so that nobody knows which of them the
        # registry has looked for: https://github.com/golang/go/issues/21092
        checked=bool(parts) and not _list(document, "fslayers") and not twice,
    )


def _list(document: Mapping[str, Any], name: str) -> list[Any]:
    values = document.get(name)
    if values is not None and not isinstance(values, list):
        raise _OddError(f"its {name} are no list")
    return values or []


def _digest(value: object) -> str:
    if not isinstance(value, str) or not DIGEST.fullmatch(value):
        raise _OddError("something in it has no digest")
    return sys.intern(value)


def matches(content: bytes, digest: str) -> bool:
    """Return whether a content has a digest, of any algorithm that the registry knows."""
    algorithm, _, value = digest.partition(":")
    return algorithm in ALGORITHMS and hashlib.new(algorithm, content).hexdigest() == value


class References:
    """What is remembered of manifests, by digest.

    Attributes:
        unreadable: The keys of what cannot be read, and is read from the manifests again.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._known: dict[str, Manifest] = {}
        self._changed: set[str] = set()
        self.unreadable: list[str] = []
        # One after the other, line by line: all of their texts would take as much as the rest.
        for key in map(_key, _SHARDS):
            content = objects.get(key)
            if content is None:
                continue
            try:
                with gzip.open(io.BytesIO(content)) as lines:
                    known = dict(map(_manifest, lines))
            except _UNREADABLE:
                self.unreadable.append(key)
            else:
                self._known.update(known)

    def get(self, digest: str) -> Manifest | None:
        """Return what a manifest refers to; None if it must be read."""
        return self._known.get(digest)

    def describing(self) -> dict[str, list[str]]:
        """Return the manifests that describe each one, as their subject."""
        found: dict[str, list[str]] = defaultdict(list)
        for digest, manifest in self._known.items():
            if manifest.subject:
                found[manifest.subject].append(digest)
        return found

    def add(self, digest: str, manifest: Manifest) -> None:
        """Remember what a manifest refers to."""
        self._known[digest] = manifest
        self._changed.add(_shard(digest))

    def save(self, present: Collection[str]) -> None:
        """Write what has changed, without the manifests that are not present any more."""
        # One after the other: all of them at once would be half of the memory of a run.
        for shard in self._changed:
            lines = [
                json.dumps([digest, *manifest])
                for digest, manifest in self._known.items()
                if _shard(digest) == shard and digest in present
            ]
            self._objects.put(_key(shard), gzip.compress("\n".join(lines).encode(), 3))
        self._changed.clear()


def _manifest(line: bytes) -> tuple[str, Manifest]:
    digest, *lists, subject, odd, checked = json.loads(line)
    layers, children, foreign, others = (tuple(map(_digest, values)) for values in lists)
    manifest = Manifest(layers, children, foreign, others, sys.intern(subject), odd, checked)
    return _digest(digest), manifest


def _shard(digest: str) -> str:
    return digest.partition(":")[2][0]


def _key(shard: str) -> str:
    return f"{FOLDER}{shard}.gz"
