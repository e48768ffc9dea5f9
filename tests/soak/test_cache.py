"""A cache of another registry, behind the auth proxy, on the bucket of the images."""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from components.registry.config import cache_config, login_file
from scripts.maintenance.caches import Limit, held, trim
from scripts.maintenance.keys import CACHES
from scripts.maintenance.references import References
from scripts.maintenance.usage import table, usage
from scripts.maintenance.walk import Walk
from tests.soak.client import MANIFEST, Client, digest_of, image
from tests.soak.pair import AuthProxy, login
from tests.soak.servers import BUCKET, HOSTS, REGION, Servers, free_port, wait_for
from tests.soak.upstream import PASSWORD, USER, State, upstream

RIGHTS = {
    "maintenance": ([], []),
    "admin": (["*"], []),
    "pull": ([], ["*"]),
    "reader": ([], ["cache/docker/library/*"]),
    "team": (["team/*"], []),
}
LAYERS = [random.Random(1).randbytes(3_000_000), b"small"]
FIRST = image("library/app", "latest", b'{"version": 1}', LAYERS)
SECOND = image("library/app", "latest", b'{"version": 2}', [LAYERS[0], b"another"])
APP = "/v2/cache/docker/library/app"


@dataclass
class Cache:
    """The cache `docker`, and the auth proxy before it.

    Attributes:
        state: What the other registry does.
        pods: The processes of the cache.
    """

    servers: Servers
    state: State
    url: str
    port: int = field(default_factory=lambda: free_port(HOSTS))
    user: str = ""
    password: str = ""
    pods: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    proxy: AuthProxy | None = None

    @property
    def log(self) -> Path:
        return self.servers.folder / "cache.log"

    def start(self, host: str = HOSTS[0]) -> None:
        """Start a pod of the cache."""
        folder = self.servers.folder / f"cache-{host}"
        folder.mkdir(exist_ok=True)
        config = cache_config(
            name="docker",
            upstream=self.url,
            endpoint=self.servers.endpoint,
            region=REGION,
            bucket=BUCKET,
            path_style=True,
            root_directory="",
            redirect=False,
        )
        text = config.replace("addr: :5000", f"addr: {host}:{self.port}")
        (folder / "config.yml").write_text(text)
        (folder / "get").write_text(login_file(self.user, self.password))
        with self.log.open("ab") as log:
            self.pods[host] = subprocess.Popen(
                [str(self.servers.tools / "registry"), "serve", "config.yml"],
                cwd=folder,
                env=os.environ | self.servers.environment(),
                stdout=log,
                stderr=log,
            )
        wait_for(f"http://{host}:{self.port}/v2/")

    def stop(self) -> None:
        for pod in self.pods.values():
            pod.terminate()
            pod.wait()
        self.pods.clear()

    def ask(
        self, path: str, user: str = "pull", method: str = "GET", body: bytes | None = None
    ) -> tuple[int, bytes]:
        """Return the status and the body of a response to a client."""
        assert self.proxy
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=60)
        headers = {"Authorization": login(user), "Accept": MANIFEST}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        try:
            return response.status, response.read()
        finally:
            connection.close()

    def pull(self) -> str:
        """Pull the image by its tag, as a node does, and return its digest."""
        status, manifest = self.ask(f"{APP}/manifests/latest")
        assert status == 200, manifest
        digest = digest_of(manifest)
        assert self.ask(f"{APP}/manifests/{digest}") == (200, manifest)
        content = json.loads(manifest)
        for part in [content["config"], *content["layers"]]:
            status, blob = self.ask(f"{APP}/blobs/{part['digest']}")
            assert (status, digest_of(blob)) == (200, part["digest"])
        return digest

    def objects(self, prefix: str = CACHES) -> dict[str, str]:
        """Return the objects below a prefix, with what tells that one was written anew."""
        return {x.key: f"{x.etag} {x.modified}" for x in self.servers.objects().list(prefix)}


@pytest.fixture
def state() -> State:
    return State(FIRST)


@pytest.fixture
def cache(servers: Servers, state: State, tmp_path: Path) -> Iterator[Cache]:
    with upstream(state) as url:
        cache = Cache(servers, state, url)
        registry, manifests = (
            f"{HOSTS[0]}:{servers.inner_ports[x]}" for x in ("registry", "manifests")
        )
        proxy = AuthProxy(servers.tools, tmp_path, registry, manifests, f"{HOSTS[0]}:{cache.port}")
        proxy.configure(RIGHTS)
        cache.proxy = proxy
        try:
            cache.start()
            proxy.start()
            yield cache
        finally:
            cache.stop()
            proxy.stop()


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
