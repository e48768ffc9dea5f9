"""The pages of the lists of DigitalOcean's API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from sandbox.cloud.errors import ApiError
from sandbox.cloud.key import Body

_SIZE, _LARGEST = 20, 200
"""How many items a page has, and may have: https://docs.digitalocean.com/reference/api/intro/#links--pagination"""


def page(name: str, items: Sequence[Body], query: Mapping[str, str]) -> Body:
    """Return the page of a list that the query asks for, without links to other pages."""
    try:
        number = int(query.get("page", 1))
        size = min(int(query.get("per_page", _SIZE)), _LARGEST)
    except ValueError:
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid page") from None
    selected = list(items[(number - 1) * size : number * size])
    return {name: selected, "links": {}, "meta": {"total": len(items)}}
