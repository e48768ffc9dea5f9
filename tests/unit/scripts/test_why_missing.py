"""Why a certificate is missing, as the ACME client's log and cert-manager's objects say it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scripts.client.why_missing import why_missing
from tests.unit.servers import Request, Result, Serve

PODS = "/api/v1/namespaces/registry/pods"
LOG = f"{PODS}/acme-client-x/log?container=acme-client&tailLines=100"
CLIENT = {f"{PODS}?labelSelector=app.kubernetes.io/component=acme-client": ["acme-client-x"]}
LINES = """\
{"level":"info","logger":"tls.obtain","msg":"obtaining certificate","identifier":"a.b"}
{"level":"error","logger":"tls.obtain","msg":"could not get certificate","error":"HTTP 400 old"}
{"level":"error","logger":"tls.obtain","msg":"will retry","error":"[a.b] Obtain: HTTP 403 \
urn:ietf:params:acme:error:connection - tls: unrecognized name","attempt":1}
not JSON
{"level":"info","msg":"waiting","error":""}
"""


def cluster(lists: dict[str, list[Any]], logs: dict[str, str]) -> Any:
    """Return what asks a cluster that has these lists of objects, or of names, and logs."""
    texts = {
        path: json.dumps(
            {"items": [{"metadata": {"name": x}} if isinstance(x, str) else x for x in items]}
        )
        for path, items in lists.items()
    }
    return lambda path: {**texts, **logs}.get(path, "")


def reason(mode: str, lists: dict[str, list[Any]], logs: dict[str, str] | None = None) -> str:
    return why_missing(mode, "localhost", "registry", cluster(lists, logs or {}), port=1)


def test_the_reason_is_the_last_error_in_the_acme_clients_log() -> None:
    expected = (
        "[a.b] Obtain: HTTP 403 urn:ietf:params:acme:error:connection - tls: unrecognized name"
    )
    assert reason("letsEncrypt", CLIENT, {LOG: LINES}) == expected
    assert not reason("letsEncrypt", CLIENT, {LOG: '[]\n{"msg":"obtaining certificate"}\n'})


def acme(kind: str) -> str:
    return f"/apis/acme.cert-manager.io/v1/namespaces/registry/{kind}"


CERTIFICATES = "/apis/cert-manager.io/v1/namespaces/registry/certificates"
NOT_READY = {"type": "Ready", "status": "False", "message": "Issuing as Secret does not exist"}


def test_the_reason_is_what_cert_manager_waits_for() -> None:
    challenge = {"status": {"reason": "Waiting for HTTP-01 challenge propagation:\n  status 404"}}
    order = {"status": {"reason": "rate limited"}}
    certificate = {"status": {"conditions": [NOT_READY, {"type": "Issuing", "status": "True"}]}}
    lists: dict[str, list[Any]] = {CERTIFICATES: [certificate]}
    assert reason("certManager", lists) == "Issuing as Secret does not exist"
    request = {"type": "Ready", "status": "False", "message": 'ClusterIssuer "x" not found'}
    lists[f"{CERTIFICATES.removesuffix('s')}requests"] = [{"status": {"conditions": [request]}}]
    assert reason("certManager", lists) == 'ClusterIssuer "x" not found'
    lists[acme("orders")] = [order]
    assert reason("certManager", lists) == "rate limited"
    lists[acme("challenges")] = [{}, challenge]
    expected = "Waiting for HTTP-01 challenge propagation: status 404"
    assert reason("certManager", lists) == expected


def test_a_certificate_that_is_ready_says_nothing() -> None:
    ready = {"type": "Ready", "status": "True", "message": "up to date"}
    assert not reason("certManager", {CERTIFICATES: [{"status": {"conditions": [ready]}}]})


@pytest.mark.parametrize("mode", ["letsEncrypt", "certManager"])
def test_a_cluster_that_tells_nothing_is_no_error(mode: str) -> None:
    assert not reason(mode, {})


@pytest.mark.parametrize("mode", ["secret", "acme", "none"])
def test_who_asks_nobody_is_not_asked(mode: str) -> None:
    def ask(path: str) -> str:
        raise AssertionError(path)

    assert not why_missing(mode, "localhost", "registry", ask, port=1)


def test_a_redirected_challenge_is_the_reason(serve: Serve) -> None:
    """The client's log says what became of it at port 443 only: "unrecognized name"."""
    paths: list[str] = []

    def respond(request: Request) -> Result:
        paths.append(request.path)
        return 308, {"Location": f"https://localhost{request.path}"}, ""

    port = int(serve(respond).rpartition(":")[2])
    tells = cluster(CLIENT, {LOG: LINES})
    found = why_missing("letsEncrypt", "localhost", "registry", tells, port)
    assert found.startswith("http://localhost redirects all to HTTPS")
    assert found.endswith("docs/ingress.md#a-traefik-that-redirects-port-80")
    assert paths == ["/.well-known/acme-challenge/is-it-redirected"]
    assert not why_missing("certManager", "localhost", "registry", tells, port)


@pytest.mark.parametrize("response", [(404, {}, ""), (302, {"Location": "/elsewhere"}, "")])
def test_other_responses_on_port_80_are_not_the_reason(serve: Serve, response: Result) -> None:
    port = int(serve(lambda _: response).rpartition(":")[2])
    found = why_missing("letsEncrypt", "localhost", "registry", cluster({}, {}), port)
    assert found == ""
