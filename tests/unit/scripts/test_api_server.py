"""What a response of the API server means to whoever asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.shared import api_server
from scripts.shared.api_server import ApiServer, ApiServerError
from tests.unit.odd_servers import ODD, OddServer
from tests.unit.scripts.leases import PATH, TOKEN, Leases, leases

__all__ = ["leases"]


def call(folder: Path, method: str) -> Any:
    (folder / "token").write_text(TOKEN)
    (folder / "ca.crt").write_text("the CA")
    return ApiServer(folder).call(method, PATH, {})


@pytest.mark.parametrize(
    ("method", "status"), [("GET", 404), ("DELETE", 404), ("POST", 409), ("PATCH", 422)]
)
def test_an_object_that_is_another_one_or_none_is_none(
    leases: Leases, tmp_path: Path, method: str, status: int
) -> None:
    leases.failures = [status]
    assert call(tmp_path, method) is None


@pytest.mark.parametrize(("method", "status"), [("POST", 422), ("GET", 403), ("PATCH", 403)])
def test_a_refusal_is_an_error(leases: Leases, tmp_path: Path, method: str, status: int) -> None:
    """An invalid Secret that counted as none would be a certificate that nobody keeps."""
    leases.failures = [status] * 1000
    with pytest.raises(ApiServerError, match=f"{method} .*: {status} "):
        call(tmp_path, method)


@pytest.mark.parametrize("name", ["nothing", "half a response", "a page for everything"])
def test_half_a_response_is_waited_for_like_none(
    leases: Leases,  # noqa: ARG001 - its short patience
    odd_server: OddServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """A restart of k3s ends the API server at any byte."""
    monkeypatch.setattr(api_server, "URL", odd_server(lambda: [ODD[name]]))
    with pytest.raises(ApiServerError, match=f"GET .*{PATH}: ."):
        call(tmp_path, "GET")
