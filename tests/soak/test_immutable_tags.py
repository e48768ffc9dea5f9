"""Tags that stay what they are, with the real auth proxy and registry."""

from __future__ import annotations

import base64
import http.client
import json
import random
import re
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import ValidationError

from settings.immutable import ImmutableRule
from settings.names import SMOKE_TEST_USER
from tests.soak.client import INDEX, MANIFEST, Client, Image, Response, image, index
from tests.soak.servers import HOSTS, PASSWORD, PREVIOUS_PASSWORD, Servers

SIGNATURE = f"sha256-{'0' * 64}"


def rule(repositories: list[str], **more: object) -> ImmutableRule:
    return ImmutableRule.model_validate({"repositories": repositories, **more})


RULES = {
    "releases": rule(["team/*"], matching=["^v[0-9]", "-final$"]),
    "all": rule(["frozen", "kept/*"]),
    "admins": rule(["mine"], exceptAdmin=True),
}


@pytest.fixture
def servers(tools: Path, tmp_path: Path) -> Iterator[Servers]:
    users = ("admin", "ci", SMOKE_TEST_USER)
    started = Servers(tools, tmp_path, users=users, immutable=RULES)
    try:
        started.start()
        yield started
    finally:
        started.stop_all()


@pytest.fixture
def client(servers: Servers) -> Iterator[Client]:
    client = Client([f"{host}:{servers.registry_port}" for host in HOSTS], 1)
    yield client
    client.close()


def ask(
    client: Client,
    method: str,
    path: str,
    manifest: Image | None = None,
    user: str = "ci",
    password: str = PASSWORD,
) -> Response:
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Accept": f"{MANIFEST}, {INDEX}"}
    if manifest:
        headers["Content-Type"] = manifest.media_type
    connection = http.client.HTTPConnection(client.addresses[0], timeout=60)
    with closing(connection):
        connection.request(method, path, manifest.manifest if manifest else None, headers)
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, received, response.read())


def push(client: Client, pushed: Image, tag: str, user: str = "ci", **more: str) -> Response:
    """Push an image's parts as the admin, under no tag, and its tag as a user."""
    client.push(Image(pushed.repository, "", pushed.blobs, pushed.manifest, pushed.children,
                      pushed.media_type))  # fmt: skip
    path = f"/v2/{pushed.repository}/manifests/{tag}"
    return ask(client, "PUT", path, pushed, user, **more)


def tagged(client: Client, repository: str, tag: str) -> str:
    """Return the digest of a tag."""
    response = ask(client, "HEAD", f"/v2/{repository}/manifests/{tag}")
    return response.headers["docker-content-digest"] if response.status == 200 else ""


def images(repository: str) -> tuple[Image, Image]:
    one, two = (image(repository, "", b"{}", [layer]) for layer in (b"one", b"two"))
    return one, two


def long(repository: str) -> tuple[Image, Image]:
    """Return images with manifests that are longer than what the auth proxy looks into."""
    one, two = (
        Image(x.repository, "", x.blobs, x.manifest + b" " * 40_000) for x in images(repository)
    )
    return one, two


def indexes(repository: str) -> tuple[Image, Image]:
    one, two = (index(repository, "", [child]) for child in images(repository))
    return one, two


@pytest.mark.parametrize("kind", [images, indexes, long])
@pytest.mark.parametrize("password", [PASSWORD, PREVIOUS_PASSWORD])
def test_a_tag_is_pushed_once_and_again_only_as_the_same(
    client: Client, kind: Callable[[str], tuple[Image, Image]], password: str
) -> None:
    """CI repeats a push that it has no response to. Another manifest is told by a sentence."""
    one, two = kind("team/app")
    assert push(client, one, "v1", password=password).status == 201
    again = push(client, one, "v1", password=password)
    assert (again.status, again.headers["docker-content-digest"]) == (201, one.digest)
    other = push(client, two, "v1", password=password)
    assert other.status == 403
    (error,) = json.loads(other.body)["errors"]
    assert error["code"] == "DENIED"
    assert error["message"] == "immutable.releases lets this tag neither change nor go"
    assert tagged(client, "team/app", "v1") == one.digest


def test_the_rule_is_for_its_repositories_and_tags_only(client: Client) -> None:
    for repository, tag, status in (
        ("team/app", "v2-rc", 403),
        ("team/app", "1-final", 403),
        ("team/app", "latest", 201),
        ("team/app", "rev1", 201),
        ("team/app", "1-final-2", 201),
        ("team", "v1", 201),
        ("teams/app", "v1", 201),
        ("frozen", "latest", 403),
        ("kept/app", "latest", 403),
        ("frozen/app", "latest", 201),
        # A list of what refers to an image changes with each signature.
        ("frozen", SIGNATURE, 201),
        ("frozen", f"{SIGNATURE}.sig", 201),
        ("frozen", "sha256-1", 403),
    ):
        one, two = images(repository)
        assert push(client, one, tag).status == 201, (repository, tag)
        assert push(client, two, tag).status == status, (repository, tag)


@pytest.mark.parametrize("user", ["ci", "admin"])
def test_nobody_deletes_the_tag_nor_a_manifest_that_it_may_hold(client: Client, user: str) -> None:
    """The delete of a manifest takes all its tags with it, and no request tells which these are."""
    one, two = images("team/app")
    assert push(client, one, "v1").status == 201
    assert push(client, two, "latest").status == 201
    base = "/v2/team/app/manifests"
    assert ask(client, "DELETE", f"{base}/v1", user=user).status == 403
    assert ask(client, "DELETE", f"{base}/{one.digest}", user=user).status == 403
    assert ask(client, "DELETE", f"{base}/{two.digest}", user=user).status == 403
    assert ask(client, "DELETE", f"{base}/latest", user=user).status == 202
    assert tagged(client, "team/app", "v1") == one.digest
    assert tagged(client, "team/app", "latest") == ""


def test_only_the_admin_may_where_a_rule_says_so(client: Client) -> None:
    one, two = images("mine")
    assert push(client, one, "1").status == 201
    assert push(client, two, "1").status == 403
    assert push(client, two, "1", user="admin").status == 201
    assert tagged(client, "mine", "1") == two.digest
    assert ask(client, "DELETE", f"/v2/mine/manifests/{two.digest}").status == 403
    assert ask(client, "DELETE", f"/v2/mine/manifests/{two.digest}", user="admin").status == 202


def test_the_smoke_test_may_repeat_its_push_and_its_delete(client: Client) -> None:
    """A rule for all repositories would else fail the next update."""
    one, two = images("frozen")
    for pushed in (one, two):
        assert push(client, pushed, "1", user=SMOKE_TEST_USER).status == 201
    path = f"/v2/frozen/manifests/{two.digest}"
    assert ask(client, "DELETE", path, user=SMOKE_TEST_USER).status == 202


def test_what_is_no_manifest_leaves_the_tag_and_is_refused_as_elsewhere(client: Client) -> None:
    one, _ = images("team/app")
    bad = Image("team/app", "", {}, b'{"schemaVersion": 2, "config": {}}', media_type="text/plain")
    assert ask(client, "PUT", "/v2/team/app/manifests/v1", bad).status == 400
    assert push(client, one, "v1").status == 201
    assert ask(client, "PUT", "/v2/team/app/manifests/v1", bad).status == 403
    assert tagged(client, "team/app", "v1") == one.digest


def test_while_the_storage_is_away_no_tag_changes(client: Client, servers: Servers) -> None:
    """Whether a tag exists is unknown then; a push that is let pass may change it."""
    one, two = images("team/app")
    assert push(client, one, "v1").status == 201
    assert push(client, two, "latest").status == 201
    servers.running["s3"].kill()
    servers.running["s3"].wait()
    assert ask(client, "PUT", "/v2/team/app/manifests/v1", two).status >= 500


def test_of_pushes_at_once_one_stays_and_is_never_changed_after_it(client: Client) -> None:
    """Several may be told that they succeeded: those between whose requests none had ended."""
    pushed = [image("team/app", "", b"{}", [bytes([x])]) for x in range(8)]
    for x in pushed:
        client.push(x)
    path = "/v2/team/app/manifests/v1"
    with ThreadPoolExecutor(len(pushed)) as pool:
        statuses = list(pool.map(lambda x: ask(client, "PUT", path, x).status, pushed))
    assert set(statuses) <= {201, 403}
    stays = tagged(client, "team/app", "v1")
    assert stays in {x.digest for x, status in zip(pushed, statuses, strict=True) if status == 201}
    for x in pushed:
        assert ask(client, "PUT", path, x).status == (201 if x.digest == stays else 403)
    assert tagged(client, "team/app", "v1") == stays


PARTS = (
    *("v", "1", "a", "Z", ".", "-", "_", r"\d", r"\w", r"\D", r"\W", r"\b", r"\.", r"\-", "^", "$"),
    *("[0-9]", "[^v]", "[a-c.]", r"[\d.-]", "[-a]", "(?:", "(", ")", ")", "|", "*", "+", "?", "*?"),
    *("{2}", "{1,}", "{0,3}", "{,2}", "(?i)", "(?=1)", r"\1", r"\Z", "[[:alpha:]]", "(?P<x>1)"),
    *("(?a)", "(?:a", "(?(1)", "(?s)"),
)
TAGS = ("v1", "v1.2.3", "1", "a", "Za-1", "V1_a", "aa", "latest", "_x", "1-a.b", "vvv")


def patterns(rng: random.Random) -> Iterator[str]:
    """Yield expressions that the settings take."""
    while True:
        pattern = "".join(rng.choices(PARTS, k=rng.randrange(1, 6)))
        try:
            with warnings.catch_warnings(action="ignore"):
                rule(["x"], matching=[pattern])
        except ValidationError:
            continue
        yield pattern


def test_an_expression_means_the_same_to_the_auth_proxy_as_to_the_rules_of_retention(
    tools: Path, tmp_path: Path
) -> None:
    """The one is Go, the others Python: where they differ, a tag would not be what was promised."""
    found = patterns(random.Random(1))
    expected = {f"r{number}": next(found) for number in range(300)}
    rules = {name: rule([name], matching=[pattern]) for name, pattern in expected.items()}
    servers = Servers(tools, tmp_path, immutable=rules)
    try:
        servers.start()
        client = Client([f"{HOSTS[0]}:{servers.registry_port}"], 1)
        wrong = []
        for name, pattern in expected.items():
            for tag in TAGS:
                status = ask(client, "DELETE", f"/v2/{name}/manifests/{tag}", user="admin").status
                assert status in {403, 404}
                if (status == 403) != bool(re.search(pattern, tag)):
                    wrong.append((pattern, tag, status))
        assert not wrong
    finally:
        servers.stop_all()
