"""The smoke test, against registries of which one thing does not work."""

from __future__ import annotations

import json
from collections.abc import Collection

import pytest

from scripts.client import smoke_test
from scripts.shared import registry_client
from tests.unit.servers import Request, Result, Serve

RIGHT = registry_client.basic("admin", "right")


class Registry:
    """A registry in memory."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.tags: list[str] = []

    def lets_in(self, authorization: str | None) -> bool:
        return authorization == RIGHT

    def get(self, name: str) -> bytes | None:
        return self.content.get(name)

    def listed(self) -> list[str]:
        return self.tags

    def delete(self) -> None:
        self.content.clear()

    def __call__(self, request: Request) -> Result:
        if not self.lets_in(request.headers["Authorization"]):
            return 401, {}, ""
        name = request.path.rpartition("/")[2]
        match request.command, name:
            case "POST", _:
                return 202, {"Location": "/v2/upload"}, ""
            case "PATCH", "":
                return 405, {}, ""
            case "PATCH", _:
                self.content[smoke_test.digest(request.body)] = request.body
                return 202, {"Location": "/v2/upload"}, ""
            case "PUT", _:
                if "?" not in name:
                    self.tags.append(name)
                    self.content[name] = self.content[smoke_test.digest(request.body)] = (
                        request.body
                    )
                return 201, {}, ""
            case "DELETE", _:
                self.delete()
                return 202, {}, ""
            case _, "":
                return 200, {}, ""
            case _, "list?n=1000":
                return 200, {}, json.dumps({"tags": self.listed()})
        content = self.get(name)
        return (404, {}, "") if content is None else (200, {}, content)


def passed(serve: Serve, registry: Registry) -> list[str]:
    return list(smoke_test.test(serve(registry), "admin", "right", wait=0, replicas=1))


def refusal(serve: Serve, registry: Registry) -> str:
    with pytest.raises(registry_client.RegistryError) as refused:
        passed(serve, registry)
    return str(refused.value)


def test_a_working_registry_is_passed(serve: Serve) -> None:
    assert passed(serve, Registry()) == [
        "logged in as admin",
        "refused anonymous clients, 7 methods on 6 routes",
        "pushed an image of 100000 bytes",
        "pulled it back by digest, byte for byte",
        "listed both of its tags",
        "deleted it",
        "refused a wrong password and a wrong user",
    ]


@pytest.mark.parametrize("login", [("admin", "rightx"), ("adminx", "rightx")])
def test_a_registry_that_takes_a_wrong_login_is_not_passed(
    serve: Serve, login: tuple[str, str]
) -> None:
    class Careless(Registry):
        def lets_in(self, authorization: str | None) -> bool:
            return authorization in (RIGHT, registry_client.basic(*login))

    assert refusal(serve, Careless()).endswith("/v2/: expected 401, got 200 ")


def test_a_registry_that_changes_what_was_pushed_is_not_passed(serve: Serve) -> None:
    class Changing(Registry):
        def get(self, name: str) -> bytes | None:
            content = super().get(name)
            return content and content[:-1] + b"?"

    assert refusal(serve, Changing()) == "what was pulled by digest is not what was pushed"


def test_a_registry_that_lists_one_of_two_tags_is_not_passed(serve: Serve) -> None:
    class Forgetful(Registry):
        def listed(self) -> list[str]:
            return self.tags[1:]

    registry = Forgetful()
    assert refusal(serve, registry) == (
        f"pushed the tags {registry.tags}, but of these only {set(registry.tags[1:])} are listed"
    )


def test_a_registry_that_deletes_nothing_is_not_passed(serve: Serve) -> None:
    class Keeping(Registry):
        def delete(self) -> None:
            pass

    registry = Keeping()
    message = refusal(serve, registry)
    assert f"/manifests/{registry.tags[0]}: expected 404, got 200 " in message


def test_an_upload_without_a_location_is_a_failure_in_words(serve: Serve) -> None:
    class Lost(Registry):
        def __call__(self, request: Request) -> Result:
            status, _, body = super().__call__(request)
            return status, {}, body

    assert "/v2/smoke-test/blobs/uploads/: expected 202, got 405" in refusal(serve, Lost())


class Ending(Registry):
    """A registry that closes the connection of some requests without a response.

    Args:
        ends: Which of those that have the right login, counted from 0.
    """

    def __init__(self, ends: Collection[int]) -> None:
        super().__init__()
        self.ends, self.count = ends, -1

    def __call__(self, request: Request) -> Result:
        if request.headers["Authorization"] == RIGHT:
            self.count += 1
            if self.count in self.ends:
                raise ConnectionError
        return super().__call__(request)


REQUESTS = 14
"""How many of a whole test have the right login."""


@pytest.mark.parametrize("number", range(1, REQUESTS))
def test_a_pod_that_ends_meanwhile_is_no_failure_and_nothing_is_left(
    serve: Serve, number: int
) -> None:
    """A Service leads to a pod that is ending until kube-proxy has heard of it."""
    registry = Ending([number])
    steps = passed(serve, registry)
    assert len([x for x in steps if x.startswith("began once more")]) == 1
    assert steps[-1] == "refused a wrong password and a wrong user"
    assert len({*registry.tags}) == 2
    assert not registry.content


def test_it_begins_no_third_time(serve: Serve) -> None:
    registry = Ending(range(1, 1000))
    assert "Remote end closed connection" in refusal(serve, registry)


def test_a_wrong_response_is_a_failure_at_once(serve: Serve) -> None:
    class Full(Ending):
        def __call__(self, request: Request) -> Result:
            status, headers, body = super().__call__(request)
            return (500 if status == 202 else status), headers, body

    registry = Full([])
    assert "expected 202, got 500" in refusal(serve, registry)
    assert registry.count == 1, "a login and a push"
