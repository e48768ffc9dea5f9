"""What is a page of a list, and what is not: what it leaves out counts as deleted in the end."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

import pytest

from scripts.shared.listing import Entry, ListingError, parse_page

PREFIX = "docker/registry/v2/"
DATE = "2026-11-30T15:46:49.250Z"


def row(key: str, size: int = 5, date: str = DATE) -> str:
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>{date}</LastModified>"
        f"<ETag>&#34;c4ca&#34;</ETag><Size>{size}</Size></Contents>"
    )


def page(*keys: str, token: str = "", **changed: str | None) -> bytes:
    """Return a page as servers send it; what is changed to None is left out."""
    fields: dict[str, str | None] = {
        "Name": "images",
        "Prefix": PREFIX,
        "KeyCount": str(len(keys)),
        "IsTruncated": "true" if token else "false",
        "NextContinuationToken": token or None,
    }
    fields |= changed
    elements = [f"<{x}>{escape(y)}</{x}>" for x, y in fields.items() if y is not None]
    rows = "".join(row(PREFIX + key) for key in keys)
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    text = f'<ListBucketResult xmlns="{space}">{"".join(elements)}{rows}</ListBucketResult>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()


def parse(body: bytes, after: str = "", prefix: str = PREFIX) -> tuple[list[Entry], str]:
    return parse_page(body, "images", prefix, after and PREFIX + after)


def test_a_page_has_its_objects_and_what_asks_for_the_next_one() -> None:
    entries, token = parse(page("a", "b", token="t"))
    assert [entry.key for entry in entries] == [f"{PREFIX}a", f"{PREFIX}b"]
    assert entries[0][1:] == (5, 1796053609.25, "c4ca")
    assert token == "t"


@pytest.mark.parametrize(
    "body",
    [
        page(),
        page("a", token="t"),
        page(token="t"),
        page("a", EncodingType=""),
        page("a", MaxKeys="1000", ContinuationToken="s", StartAfter="", Delimiter=""),
        page("a").replace(b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', b""),
        page("a").replace(DATE.encode(), b"2026-11-30T15:46:49Z"),
        page("a").replace(b"?>\n", b"?>"),
    ],
)
def test_what_servers_send_rightly_is_a_page(body: bytes) -> None:
    """versitygw names an empty EncodingType and whole seconds, others echo what was asked for."""
    parse(body)


def test_a_server_may_leave_an_empty_prefix_out() -> None:
    body = b"<ListBucketResult><Name>images</Name><KeyCount>0</KeyCount>"
    body += b"<IsTruncated>false</IsTruncated></ListBucketResult>"
    assert parse(body, prefix="") == ([], "")


ORDERED = [
    "a b", "a%2Fb", "a&b", "a+b", "a-b", "a.b", "a/b", "a0", "aB", "a_b", "ab", "a~b",
    "a\u00fcb", "a\u20acb", "a\ue000", "a\uffee", "a\U0001f600",
]  # fmt: skip


def test_keys_are_in_the_order_of_their_bytes() -> None:
    """A server in C compares UTF-8, one in Java must not compare UTF-16."""
    assert sorted(ORDERED, key=str.encode) == ORDERED
    assert [entry.key for entry in parse(page(*ORDERED))[0]] == [PREFIX + x for x in ORDERED]


@pytest.mark.parametrize(
    ("keys", "after"),
    [
        (["b", "a"], ""),
        (["a", "a"], ""),
        (["a/b", "a-b"], ""),
        (["a", "b"], "a"),
        (["a"], "b"),
        (["\U0001f600", "\ue000"], ""),
    ],
)
def test_a_page_out_of_order_or_twice_is_an_error(keys: list[str], after: str) -> None:
    with pytest.raises(ListingError, match="is not a key that follows"):
        parse(page(*keys), after)


NO_PAGE: dict[str, tuple[bytes, str]] = {
    "an error with status 200": (
        b"<Error><Code>InternalError</Code></Error>",
        "it is <Error>, not <ListBucketResult>",
    ),
    "a web page": (
        b'<html xmlns="http://www.w3.org/1999/xhtml"><body><p>Hi</p></body></html>',
        "it is <html>",
    ),
    "a web page that is no XML": (b"<!DOCTYPE html><p>Hi<br></p>", "it is no XML"),
    "nothing": (b"", "it is no XML"),
    "half a page": (page("a", "b")[:-60], "it is no XML"),
    "JSON": (b'{"keys": []}', "it is no XML"),
    "versions": (
        page("a").replace(b"ListBucketResult", b"ListVersionsResult"),
        "it is <ListVersionsResult>",
    ),
    "buckets": (b"<ListAllMyBucketsResult/>", "it is <ListAllMyBucketsResult>"),
    "an empty document": (b"<ListBucketResult/>", "Name is None, not 'images'"),
    "another bucket": (page("a", Name="others"), "Name is 'others', not 'images'"),
    "no bucket": (page("a", Name=None), "Name is None"),
    "another prefix": (page("a", Prefix="docker/"), "Prefix is 'docker/'"),
    "no prefix": (page("a", Prefix=None), "Prefix is None"),
    "more than it says": (page("a", "b", KeyCount="1"), "KeyCount is '1', not '2'"),
    "less than it says": (page("a", KeyCount="1000"), "KeyCount is '1000', not '1'"),
    "a list of version 1": (page("a", KeyCount=None), "KeyCount is None"),
    "version 1 with more": (
        page("a", KeyCount=None, IsTruncated="true", NextMarker="b"),
        "KeyCount is None",
    ),
    "more without a token": (page("a", IsTruncated="true"), "IsTruncated is 'true', with no token"),
    "an empty token": (
        page("a", IsTruncated="true", NextContinuationToken=""),
        "IsTruncated is 'true', with no token",
    ),
    "a token without more": (page("a", token="t", IsTruncated="false"), "'false', with a token"),
    "no word of more": (page("a", IsTruncated=None), "IsTruncated is None"),
    "another word": (page("a", IsTruncated="True"), "IsTruncated is 'True'"),
    "encoded keys": (page("a%2Bb", EncodingType="url"), "it encodes keys"),
    "groups": (
        page("a").replace(b"<Contents>", b"<CommonPrefixes/><Contents>"),
        "it encodes keys, or groups them",
    ),
    "a key of another folder": (
        page("a").replace(f"<Key>{PREFIX}a".encode(), b"<Key>docker/a"),
        "'docker/a' is not a key that follows ''",
    ),
    "an object without a size": (page("a").replace(b"<Size>5</Size>", b""), "an object has no"),
    "an object without a date": (page("a").replace(b"LastModified", b"Modified"), "an object has"),
    "an object without a key": (page("a").replace(b"Key>", b"Name>"), "an object has no"),
    "an object without an ETag": (page("a").replace(b"ETag", b"Hash"), "an object has no"),
    "a size in words": (page("a").replace(b">5<", b">five<"), "an object has no"),
    "a date in words": (page("a").replace(DATE.encode(), b"yesterday"), "an object has no"),
    "a date elsewhere": (page("a").replace(b"49.250Z", b"49+02:00"), "an object has no"),
}


@pytest.mark.parametrize("lie", NO_PAGE)
def test_anything_else_is_an_error_that_says_what_it_is(lie: str) -> None:
    body, problem = NO_PAGE[lie]
    with pytest.raises(ListingError, match=re.escape(problem)) as error:
        parse(body)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 200
