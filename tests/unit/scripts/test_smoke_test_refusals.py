"""The smoke test, against registries of which one thing does not work."""

from __future__ import annotations

import json

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
