"""Pages of a bucket's list, each of which proves that it is one.

What a list does not show counts as gone in the end. So a page is an error unless it says of which
bucket and prefix it is, that it continues the one before, and whether there are more.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from xml.etree import ElementTree


class ListingError(Exception):
    """A response is no page of the list; says why."""


class Entry(NamedTuple):
    """One object of a list.

    Attributes:
        modified: When it was written, in seconds since 1970, by the server's clock.
        etag: For an object that was written by one request the MD5 of its content; else anything.
    """

    key: str
    size: int
    modified: float
    etag: str


def parse_page(body: bytes, bucket: str, prefix: str, after: str) -> tuple[list[Entry], str]:
    """Return a page of a list of version 2, whose keys come after that of the page before.

    And the token that asks for the next page; an empty one if there is none.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html

    Raises:
        ListingError: The response is anything else, or contradicts itself.
    """
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - it resolves no external entities
    except ElementTree.ParseError as error:
        raise ListingError(f"it is no XML: {error}") from error
    if _name(root) != "ListBucketResult":
        raise ListingError(f"it is <{_name(root)}>, not <ListBucketResult>")
    fields = {_name(element): element.text or "" for element in root}
    rows = [element for element in root if _name(element) == "Contents"]
    for name, expected in (("Name", bucket), ("Prefix", prefix), ("KeyCount", str(len(rows)))):
        if fields.get(name, "") != expected:
            raise ListingError(f"{name} is {fields.get(name)!r}, not {expected!r}")
    if fields.get("EncodingType") or "CommonPrefixes" in fields:
        raise ListingError("it encodes keys, or groups them, unasked")
    truncated, token = fields.get("IsTruncated"), fields.get("NextContinuationToken", "")
    # A server of version 1 has more pages, and no token that asks for them.
    if truncated not in {"true", "false"} or (truncated == "true") != bool(token):
        raise ListingError(f"IsTruncated is {truncated!r}, with {'a' if token else 'no'} token")
    entries = [_entry({_name(child): child.text or "" for child in row}) for row in rows]
    for entry in entries:
        if not entry.key.startswith(prefix) or entry.key <= after:
            raise ListingError(f"{entry.key!r} is not a key that follows {after!r}")
        after = entry.key
    return entries, token


def _entry(fields: Mapping[str, str]) -> Entry:
    try:
        return Entry(
            key=fields["Key"],
            size=int(fields["Size"]),
            modified=_timestamp(fields["LastModified"]),
            etag=fields["ETag"].strip('"'),
        )
    except (KeyError, ValueError) as error:
        raise ListingError(f"an object has no such element, or another one: {error}") from error


def _timestamp(text: str) -> float:
    """Return seconds since 1970 of such as 2026-11-25T12:00:00.123Z."""
    whole = datetime.fromisoformat(f"{text[:19]}+00:00").timestamp()
    return whole + float(f"0{text[19:].rstrip('Z')}")


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
