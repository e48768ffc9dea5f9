"""What a cache is to users, and to the registry beside it."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from scripts.maintenance.caches import Limit, held, trim
from scripts.maintenance.references import References
from scripts.maintenance.usage import table, usage
from scripts.maintenance.walk import Walk
from tests.soak.cached import APP, FIRST, LAYERS, Cache
from tests.soak.client import Client, digest_of, image
from tests.soak.servers import HOSTS
from tests.soak.upstream import State


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/blobs/uploads/"),
        ("PUT", "/manifests/latest"),
        ("DELETE", f"/manifests/{FIRST.digest}"),
        ("PATCH", f"/blobs/uploads/{'0' * 8}-0000-4000-8000-{'0' * 12}"),
        ("GET", "/tags/list"),
    ],
)
def test_a_cache_takes_pulls_only_and_says_so(cache: Cache, method: str, path: str) -> None:
    for user in ("admin", "reader", "team"):
        body = FIRST.manifest if method in ("PUT", "PATCH") else None
        status, response = cache.ask(f"{APP}{path}", user, method, body)
        (error,) = json.loads(response)["errors"]
        assert (status, error["code"]) == (405, "UNSUPPORTED")
        assert error["message"].startswith("this is a cache of another registry")
    assert not cache.objects()


def test_a_cache_has_no_list_of_referrers_so_that_clients_ask_for_a_tag(cache: Cache) -> None:
    """Any other status ends `cosign verify`, `notation verify` and `oras discover`."""
    path = f"{APP}/referrers/{FIRST.digest}"
    asked = {user: cache.ask(path, user)[0] for user in ("pull", "reader", "team", "nobody")}
    assert asked == {"pull": 404, "reader": 404, "team": 403, "nobody": 401}


def test_rights_on_repositories_are_rights_on_caches(cache: Cache, state: State) -> None:
    """A cache may have a login to private images, which are not everybody's."""
    path = f"{APP}/manifests/latest"
    asked = {user: cache.ask(path, user)[0] for user in ("pull", "admin", "reader", "team")}
    assert asked == {"pull": 200, "admin": 200, "reader": 200, "team": 403}
    assert cache.ask(path, "nobody")[0] == 401
    state.requests.clear()
    assert cache.ask("/v2/cache/docker/others/app/manifests/latest", "reader")[0] == 403
    assert not state.requests


def test_no_query_or_body_of_a_client_gets_to_the_other_registry(
    cache: Cache, state: State
) -> None:
    """containerd adds `?ns=docker.io`."""
    status, _ = cache.ask(f"{APP}/manifests/latest?ns=docker.io&x=/v2/cache/docker/")
    assert status == 200
    assert ("HEAD /v2/library/app/manifests/latest", 200) in state.requests
    assert cache.ask(f"{APP}/manifests/latest", body=b"x")[0] == 413


def test_other_repositories_are_the_registrys_own(cache: Cache, state: State) -> None:
    """Images are never hidden: only what is below the name of a cache is one's."""
    client = Client([f"{host}:{cache.servers.registry_port}" for host in HOSTS], 1)
    for repository in ("cache", "cache/docker", "cache/other/app", "xcache/docker/app"):
        pushed = image(repository, "v1", b"{}", [repository.encode()])
        client.push(pushed)
        assert cache.ask(f"/v2/{repository}/manifests/v1") == (200, pushed.manifest)
    client.close()
    assert not state.requests


def test_neither_the_cache_nor_what_trims_it_touches_an_image(cache: Cache) -> None:
    """Both have the same key to the same bucket, and the same layers."""
    client = Client([f"{host}:{cache.servers.registry_port}" for host in HOSTS], 1)
    client.push(image("team/app", "latest", b'{"version": 1}', LAYERS))
    client.close()
    before = cache.objects("docker/")
    cache.pull()
    objects = cache.servers.objects()
    walk = Walk(objects, References(objects))
    used = usage(walk, held(objects))
    assert [row.name for row in used.rows] == ["team/app"]
    assert used.stored < used.caches["docker"] + len(FIRST.manifest) < used.total
    assert "\ncache docker:             2.9 MiB\n" in table(used)
    assert not [x for x in cache.objects("") if "scheduler" in x], "it would delete by itself"
    trim(objects, {"docker": Limit(30, 2**30)})
    assert held(objects) == used.caches
    trim(objects, {"other": Limit(30, 2**30)})
    assert not cache.objects()
    assert cache.objects("docker/") == before
    assert cache.pull() == FIRST.digest


def test_a_cache_that_has_lost_any_of_its_objects_fetches_it_again(cache: Cache) -> None:
    """So they can be deleted one by one, with no order."""
    cache.pull()
    objects = cache.servers.objects()
    for key in cache.objects():
        objects.delete(key)
        assert cache.pull() == FIRST.digest, key
        assert key in cache.objects()


def test_two_pods_of_a_cache_work_side_by_side(cache: Cache) -> None:
    """As in each rollout: they share all that they know, which is what is in the bucket."""
    cache.start(HOSTS[1])
    layers = [f"/v2/library/app/blobs/{digest_of(x)}" for x in LAYERS]

    def get(number: int) -> bytes:
        host, path = HOSTS[number % 2], layers[number // 2 % 2]
        connection = http.client.HTTPConnection(host, cache.port, timeout=60)
        connection.request("GET", path)
        body = connection.getresponse().read()
        connection.close()
        return body

    with ThreadPoolExecutor(8) as pool:
        for number, body in enumerate(pool.map(get, range(40))):
            assert body == LAYERS[number // 2 % 2]
    second = cache.pods.pop(HOSTS[1])
    second.kill()
    second.wait()
    assert cache.pull() == FIRST.digest


def test_metrics_tell_failed_requests_of_caches_from_others(cache: Cache, state: State) -> None:
    """An alert is made of them: components/monitoring/alerts.py"""
    assert cache.proxy
    state.limited = True
    cache.ask(f"{APP}/blobs/{digest_of(b'never pulled')}")
    cache.ask("/v2/team/app/manifests/none")
    (line,) = [
        x
        for x in cache.proxy.metrics().splitlines()
        if x.startswith("caddy_http_request_duration_seconds_count{") and 'handler="invoke"' in x
    ]
    assert 'code="429"' in line
    assert 'server="registry"' in line
    assert line.endswith(" 1")
