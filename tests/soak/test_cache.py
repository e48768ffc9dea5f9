"""What a cache of another registry passes on, and keeps."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import pytest

from tests.soak.cached import APP, FIRST, LAYERS, RIGHTS, SECOND, Cache
from tests.soak.client import digest_of, image
from tests.soak.pair import AuthProxy
from tests.soak.servers import HOSTS, Servers
from tests.soak.upstream import PASSWORD, USER, State, upstream


def test_what_was_pulled_once_is_pulled_while_the_other_registry_is_down(
    servers: Servers, state: State, tmp_path: Path
) -> None:
    """By tag and by digest, also by a pod that starts meanwhile: a registry with a login in its
    configuration asks at its start where to log in, and does not start without a response."""
    with upstream(state) as url:
        cache = Cache(servers, state, url)
        cache.proxy = AuthProxy(
            servers.tools, tmp_path, "nowhere:1", cache=f"{HOSTS[0]}:{cache.port}"
        )
        cache.proxy.configure(RIGHTS)
        cache.start()
        cache.proxy.start()
        assert cache.pull() == FIRST.digest
    try:
        assert cache.pull() == FIRST.digest
        cache.stop()
        cache.start()
        assert cache.pull() == FIRST.digest
        status, _ = cache.ask(f"{APP}/blobs/{digest_of(b'never pulled')}")
        assert status >= 500, "404 would say that there is none"
        cache.stop()
        status, body = cache.ask(f"{APP}/manifests/latest")
        assert (status, b"the cache does not respond" in body) == (502, True)
    finally:
        cache.stop()
        cache.proxy.stop()


def test_a_second_pull_costs_the_other_registry_nothing_but_the_question_for_the_tag(
    cache: Cache, state: State
) -> None:
    """docker.io counts GET of manifests, and no HEAD."""
    cache.pull()
    state.requests.clear()
    cache.pull()
    requests = [x for x, _ in state.requests if "/manifests/" in x or "/blobs/" in x]
    assert requests == ["HEAD /v2/library/app/manifests/latest"]


@pytest.mark.parametrize("known", [True, False])
def test_the_cache_logs_in_and_tells_nobody_how(cache: Cache, state: State, known: bool) -> None:
    state.login = True
    cache.stop()
    cache.user, cache.password = USER, PASSWORD if known else "wrong"
    cache.start()
    if known:
        assert cache.pull() == FIRST.digest
    else:
        status, body = cache.ask(f"{APP}/manifests/{FIRST.digest}")
        # 401 would make the client look for another login, and count as a wrong one.
        assert (status, json.loads(body)["errors"][0]["code"]) == (404, "NAME_UNKNOWN")
    said = cache.log.read_text() + (cache.servers.folder / "caddy.log").read_text()
    assert cache.password not in said
    assert json.dumps(cache.password)[1:-1] not in said
    assert cache.password not in "".join(cache.objects())


def test_an_open_registry_is_asked_without_a_login(cache: Cache, state: State) -> None:
    assert cache.pull() == FIRST.digest
    assert not [x for x, _ in state.requests if "account=" in x]


def test_a_registry_that_limits_requests_is_not_needed_for_what_is_there(
    cache: Cache, state: State
) -> None:
    cache.pull()
    state.limited = True
    assert cache.pull() == FIRST.digest
    status, _ = cache.ask(f"{APP}/blobs/{digest_of(b'never pulled')}")
    assert status == 429, "nodes ask the other registry by themselves then"


def test_a_layer_that_breaks_off_is_not_kept_and_the_next_pull_has_all_of_it(
    cache: Cache, state: State
) -> None:
    state.dies_after = 1_000_000
    with pytest.raises(http.client.IncompleteRead):
        cache.ask(f"{APP}/blobs/{digest_of(LAYERS[0])}")
    state.dies_after = 0
    assert not [x for x in cache.objects() if x.endswith("/data")], "a part of it is not it"
    assert cache.pull() == FIRST.digest


def test_a_layer_with_other_content_is_not_kept(cache: Cache, state: State) -> None:
    """The client refuses it by itself; nobody else must get it."""
    digest = digest_of(LAYERS[1])
    state.image = image("library/app", "latest", b"{}", [])
    state.image.blobs[digest] = b"wrong"  # type: ignore[index] # a lie
    assert cache.ask(f"{APP}/blobs/{digest}")[1] == b"wrong"
    state.image = FIRST
    assert cache.ask(f"{APP}/blobs/{digest}")[1] == LAYERS[1]


def test_a_tag_that_moves_is_pulled_anew(cache: Cache, state: State) -> None:
    assert cache.pull() == FIRST.digest
    state.image = SECOND
    assert cache.pull() == SECOND.digest
    assert cache.ask(f"{APP}/manifests/{FIRST.digest}") == (200, FIRST.manifest)
    state.limited = True
    assert cache.pull() == SECOND.digest, "while nobody knows better, the last one that was seen"
