"""What the client of a registry makes of every response: a response, or one kind of error."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from urllib.parse import urlsplit

import pytest

from scripts.shared.registry_client import Registry, RegistryError, send
from scripts.shared.response import EXCERPT
from tests.unit.odd_servers import ENDLESS, ODD, PARKED, OddServer
from tests.unit.program.conftest import ROOT
from tests.unit.servers import Request, Result, Serve

RESPONSES = {
    "a page for everything": 200,
    "a header that is none": 200,
    "a length that is no number": 200,
    "a length below zero": 200,
    "a length of 5000 digits": 200,
    "a redirect to no URL": 302,
    "a redirect with a space": 302,
    "a redirect to a file": 302,
    "a redirect to a page": 302,
    "no UTF-8": 200,
    "deep JSON": 200,
    "a number of 5000 digits": 200,
    "other JSON": 200,
    "a text where a list is expected": 200,
}
"""Those of the odd servers that send a response of HTTP, and its status."""

ERRORS = {
    "nothing": "closed connection without response",
    "an SSH server": "BadStatusLine('SSH-2.0-OpenSSH_9.2",
    "a page without a status": "BadStatusLine('<!DOCTYPE html>",
    "half a response": "20 bytes read, 980 more expected",
    "half a chunk": "IncompleteRead",
    "much": "larger than 4194304 bytes",
    "much, without a length": "larger than 4194304 bytes",
}
"""What is said of some of the others."""


def ask(url: str, seconds: float = 10) -> int | str:
    """Return the status, or what is wrong."""
    try:
        return send(urllib.request.Request(f"{url}/v2/"), seconds=seconds).status
    except RegistryError as error:
        return str(error)


@pytest.mark.parametrize("name", ODD)
def test_every_server_gives_a_status_or_an_error_in_words(name: str, odd_server: OddServer) -> None:
    found = ask(odd_server(lambda: [ODD[name]]))
    if name in RESPONSES:
        assert found == RESPONSES[name], "and no redirect is followed"
    else:
        assert isinstance(found, str)
        assert ERRORS.get(name, "") in found
        assert 0 < len(found) <= EXCERPT, "a server cannot fill the terminal"


@pytest.mark.parametrize("name", ENDLESS)
def test_no_server_is_waited_for_longer_than_was_said(name: str, odd_server: OddServer) -> None:
    assert ask(odd_server(ENDLESS[name]), seconds=0.1) == "timed out"


def test_a_server_that_hangs_does_not_keep_the_program_from_ending(odd_server: OddServer) -> None:
    program = """\
import sys, urllib.request
from scripts.shared.registry_client import RegistryError, send
try:
    send(urllib.request.Request(sys.argv[1]), seconds=0.1)
except RegistryError as error:
    print(error)
"""
    url = odd_server(ENDLESS["a body without an end"])
    ended = subprocess.run(
        [sys.executable, "-c", program, url],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert ended.stdout == "timed out\n"


@pytest.mark.parametrize("url", ["http://[bad", "http://a b/", "http://\xff.example.com", "x:y"])
def test_a_url_that_is_none_is_an_error_in_words(url: str) -> None:
    with pytest.raises(RegistryError):
        Registry(url, None).call("GET", "v2/", [200])


def test_a_blob_is_read_where_the_registry_redirects_to_and_the_login_stays(serve: Serve) -> None:
    logins: list[str | None] = []

    def storage(request: Request) -> Result:
        logins.append(request.headers["Authorization"])
        return 200, {}, "layer"

    url = serve(storage)
    registry = Registry(serve(lambda _: (307, {"Location": f"{url}/data?X-Amz=1"}, "")), "Basic x")
    assert registry.call("GET", "v2/app/blobs/sha256:0", [200]).body == b"layer"
    assert logins == [None], "the storage is somebody else"
    with pytest.raises(RegistryError, match="expected 200, got 307"):
        registry.call("GET", "v2/app/manifests/1", [200])


def test_every_kind_of_manifest_is_asked_for(serve: Serve) -> None:
    """Of a kind that a client does not name, the registry says that there is none."""
    accepted: list[str] = []

    def handle(request: Request) -> Result:
        accepted.extend(request.headers["Accept"].split(", "))
        return 200, {}, ""

    Registry(serve(handle), None).call("GET", "v2/app/manifests/1", [200])
    docker, oci = "application/vnd.docker.distribution.manifest", "application/vnd.oci.image"
    assert set(accepted) == {
        *(f"{docker}.v2+json", f"{docker}.list.v2+json"),
        *(f"{oci}.manifest.v1+json", f"{oci}.index.v1+json", "*/*"),
    }


def pages(serve: Serve, *contents: str, status: int = 200) -> Registry:
    """Return a registry with a list in pages, of which each leads to the next one."""

    def page(request: Request) -> Result:
        number = int(urlsplit(request.path).query.partition("last=")[2] or 0)
        more = {"Link": f'</v2/_catalog?n=1000&last={number + 1}>; rel="next"'}
        return status, more if number + 1 < len(contents) else {}, contents[number]

    return Registry(serve(page), None)


def names(registry: Registry, *, empty: int = 200) -> list[str]:
    return list(registry.names("v2/_catalog", "repositories", empty=empty))


def test_all_pages_of_a_list_are_read(serve: Serve) -> None:
    """Or a registry with more than 1,000 repositories would be looked at only in part."""
    contents = [json.dumps({"repositories": x}) for x in (["a", "b"], None, ["c"])]
    assert names(pages(serve, *contents)) == ["a", "b", "c"]


def test_a_list_that_leads_back_to_itself_ends(serve: Serve) -> None:
    link = {"Link": '</v2/_catalog?n=1000>; rel="next"'}
    url = serve(lambda _: (200, link, '{"repositories": []}'))
    with pytest.raises(RegistryError, match="leads back"):
        names(Registry(url, None))


@pytest.mark.parametrize("body", [PARKED.decode(), "[]", "{}", '{"repositories": "a"}', '"a"'])
def test_what_is_no_list_is_shown(body: str, serve: Serve) -> None:
    """As a parked domain, a captive portal or an API of something else responds."""
    with pytest.raises(RegistryError) as refused:
        names(pages(serve, body))
    assert str(refused.value).endswith(f"expected repositories, got {body}")


def test_only_where_it_was_said_a_404_is_an_empty_list(serve: Serve) -> None:
    """A server that knows no `_catalog` has not all of its images: it is no registry."""
    assert names(pages(serve, "{}", status=404), empty=404) == []
    with pytest.raises(RegistryError, match="expected 200, got 404"):
        names(pages(serve, "{}", status=404))
