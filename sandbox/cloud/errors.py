"""What DigitalOcean's API refuses."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus


class ApiError(Exception):
    """A call that the API refuses.

    Args:
        status: The HTTP status.
        message: The message in the response.
        headers: Additional headers of the response.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


class NotFoundError(ApiError):
    """There is nothing at this address."""

    def __init__(self) -> None:
        message = "The resource you were accessing could not be found."
        super().__init__(HTTPStatus.NOT_FOUND, message)
