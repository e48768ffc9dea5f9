"""Which of a pod's two registries a request goes to, and why."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from components.registry.oci_routes import OPERATIONS
from components.registry.side_servers import (
    MANIFESTS_ADDRESS,
    REGISTRY,
    REGISTRY_ADDRESS,
    probe_server,
)
from components.registry.two_registries import choose_registry

IMAGE = "application/vnd.oci.image.manifest.v1+json"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
CACHE = "application/vnd.buildkit.cacheconfig.v0"


def goes_to(kind: str, method: str, content_type: str = "", body: str = "") -> str:
    """Return the registry that a request goes to."""
    (operation,) = (x for x in OPERATIONS if x.kind == kind and method in x.methods)
    request = {
        "{http.request.header.Content-Type}": content_type,
        "{http.request.header.Content-Length}": str(len(body)) if body else "",
        "{http.request.body}": body,
    }
    address = chosen(choose_registry(operation), request)
    return {REGISTRY_ADDRESS: "registry", MANIFESTS_ADDRESS: "manifests"}.get(address, address)


def chosen(handlers: list[dict[str, Any]], request: Mapping[str, str]) -> str:
    """Return the address that Caddy's handlers choose, or the status with which they end."""
    address = ""
    for handler in handlers:
        if "status_code" in handler:
            return str(handler["status_code"])
        if handler["handler"] == "vars":
            address = handler["registry"]
        for route in handler.get("routes", ()):
            if holds(route["match"][0], request):
                address = chosen(route["handle"], request) or address
                if address.isdecimal():
                    return address
    return address


def holds(match: Mapping[str, Any], request: Mapping[str, str]) -> bool:
    """Return whether a matcher of Caddy's holds."""
    return all(
        re.search(expression["pattern"], request[variable])
        for variable, expression in match.get("vars_regexp", {}).items()
    ) and not any(holds(other, request) for other in match.get("not", ()))


def test_a_body_that_was_looked_into_is_put_back_for_who_logs_in_by_an_earlier_password() -> None:
    """In the sandbox, every push failed with 502 from a rotation on, until clients logged in."""
    (operation,) = (x for x in OPERATIONS if x.kind == "manifests" and "PUT" in x.methods)
    *_, index_routes = choose_registry(operation)
    *_, last = index_routes["routes"][0]["handle"]
    assert last == {"handler": "request_body", "set": "{http.request.body}"}
    text = json.dumps(choose_registry(operation))
    assert text.count("{http.request.body}") == 3, "nothing else looks into a body"


@pytest.mark.parametrize("content_type", [IMAGE, DOCKER_IMAGE, INDEX, ""])
@pytest.mark.parametrize(
    "body", ["{}", "null", "[]", '{"schemaVersion": 1}', '{"schemaVersion": 22, "x": "2"}']
)
def test_a_manifest_of_no_known_version_is_the_clients_error(content_type: str, body: str) -> None:
    assert goes_to("manifests", "PUT", content_type, body) == "400", (
        "the registry responds with 500, as if it had failed"
    )


@pytest.mark.parametrize(
    "body",
    [
        *(
            '{"schemaVersion":2}',
            '{"schemaVersion"\n:\t2\r\n, "config": {}}',
            '{"SCHEMAVERSION":2 }',
        ),
        '{"\\u0073chemaVersion": 2, "annotations": {"a": "\xe9"}}',
    ],
)
def test_a_manifest_that_the_registry_may_take_is_never_refused_before_it(body: str) -> None:
    assert goes_to("manifests", "PUT", IMAGE, body) == "registry", (
        "Go ignores the case of keys, and takes escapes"
    )


def index(*media_types: str) -> str:
    entries = [{"mediaType": x, "digest": "sha256:00", "size": 1} for x in media_types]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})


@pytest.mark.parametrize("kind", ["blobs", "uploads", "upload"])
def test_what_is_about_layers_goes_where_they_are_remembered(kind: str) -> None:
    methods = [m for x in OPERATIONS if x.kind == kind for m in x.methods]
    assert {goes_to(kind, method) for method in methods} == {"registry"}, (
        "users cannot delete layers, and each would take seven requests to the storage"
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_whether_a_manifest_is_there_is_never_said_from_memory(method: str) -> None:
    assert goes_to("manifests", method) == "manifests", (
        "another pod may have deleted it; and only who has no memory can delete for all"
    )


@pytest.mark.parametrize("kind", ["base", "catalog", "tags", "referrers"])
def test_what_asks_for_no_blob_leaves_the_uploads_registry_alone(kind: str) -> None:
    assert goes_to(kind, "GET") == "manifests"


@pytest.mark.parametrize("content_type", [IMAGE, DOCKER_IMAGE])
def test_a_pushed_image_is_checked_from_memory_layer_by_layer(content_type: str) -> None:
    assert goes_to("manifests", "PUT", content_type) == "registry", "two requests a layer else"


@pytest.mark.parametrize(
    "content_type",
    [
        *(INDEX, DOCKER_INDEX, "", "application/json", "application/octet-stream"),
        # Legal, but nobody sends it: the registry would take an index for the last of these.
        *(f"{IMAGE}; charset=utf-8", IMAGE.upper(), f"x{IMAGE}", f"{INDEX},{IMAGE}"),
        *(IMAGE.replace(".", "x"), IMAGE.replace("v1", "v2")),
    ],
)
def test_what_may_refer_to_images_is_checked_without_memory(content_type: str) -> None:
    assert goes_to("manifests", "PUT", content_type, index(IMAGE)) == "manifests", (
        "a child that another pod deleted would be taken for there, and the index be broken"
    )


@pytest.mark.parametrize("entry", [CACHE, LAYER, DOCKER_LAYER])
@pytest.mark.parametrize("content_type", [INDEX, DOCKER_INDEX])
def test_an_index_of_layers_goes_where_layers_are_known(content_type: str, entry: str) -> None:
    body = index(DOCKER_LAYER, entry)
    assert goes_to("manifests", "PUT", content_type, body) == "registry", (
        "who knows only manifests refuses BuildKit's cache"
    )
    assert goes_to("manifests", "PUT", content_type, json.dumps(json.loads(body), indent=3)) == (
        "registry"
    )


@pytest.mark.parametrize(
    "body",
    [
        index(IMAGE, DOCKER_IMAGE, INDEX),
        # Names that only look like it: in annotations, or as the type of what an image is for.
        *(
            json.dumps({"schemaVersion": 2, **fields})
            for fields in (
                {"manifests": [{"mediaType": IMAGE, "annotations": {"layer": LAYER}}]},
                {"artifactType": CACHE, "manifests": [{"mediaType": IMAGE}]},
                {"annotations": {"x": f'"mediaType":"{LAYER}"'}, "manifests": []},
            )
        ),
    ],
)
def test_an_index_of_images_is_not_taken_for_one_of_layers(body: str) -> None:
    assert goes_to("manifests", "PUT", INDEX, body) == "manifests", "its children must be verified"


def test_a_long_index_is_not_kept_in_the_auth_proxys_memory() -> None:
    body = index(*[LAYER] * 2000)
    assert len(body) > 29_999
    assert goes_to("manifests", "PUT", INDEX, body) == "manifests"


def test_a_pod_is_ready_only_if_both_registries_reach_the_storage() -> None:
    (route,) = probe_server()["routes"]
    asked = []
    while len(route["handle"]) == 2:
        used, probe = route["handle"]
        asked.append(used["registry"])
        assert probe["upstreams"] == [{"dial": REGISTRY}]
        assert probe["rewrite"]["method"] == "HEAD"
        works, fails = probe["handle_response"]
        assert works["match"] == {"status_code": [404]}, "all else is no word from the storage"
        assert fails["routes"][0]["handle"][0]["status_code"] == 503
        (route,) = works["routes"]
    assert route["handle"][0]["status_code"] == 200
    assert asked == [REGISTRY_ADDRESS, MANIFESTS_ADDRESS]
