"""The account's domains and their DNS records, which DigitalOcean's API stand-in stores.

Nothing resolves them. Not covered: the zone file, and the API's checks of names and values.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from http import HTTPStatus
from pathlib import Path
from typing import Any

from sandbox.cloud.errors import ApiError, NotFoundError
from sandbox.cloud.key import Body

_FIELDS = ("type", "name", "data", "priority", "port", "ttl", "weight", "flags", "tag")
"""https://docs.digitalocean.com/reference/api/reference/domain-records/"""

_TTL = 1800
"""In seconds, where a record does not say."""


class Domains:
    """Domains that somebody else created, with their records.

    Args:
        path: The file that stores the records.
        names: The domains.
    """

    def __init__(self, path: Path, names: Collection[str]) -> None:
        self._path = path
        self._records: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        if path.exists():
            self._records |= json.loads(path.read_text())

    def read(self, domain: str) -> Body:
        """Return a domain."""
        self._of(domain)
        return {"domain": {"name": domain, "ttl": _TTL, "zone_file": None}}

    def records(self, domain: str) -> Body:
        """Return the records of a domain."""
        records = self._of(domain)
        return {"domain_records": records, "links": {}, "meta": {"total": len(records)}}

    def create(self, domain: str, body: Body) -> Body:
        """Add a record to a domain."""
        records = self._of(domain)
        record = {"id": self._next_id(), **_checked(body)}
        records.append(record)
        self._save()
        return {"domain_record": record}

    def read_record(self, domain: str, identifier: str) -> Body:
        """Return a record."""
        return {"domain_record": self._find(domain, identifier)}

    def update(self, domain: str, identifier: str, body: Body) -> Body:
        """Change a record."""
        record = self._find(domain, identifier)
        record |= _checked(record | body)
        self._save()
        return {"domain_record": record}

    def delete(self, domain: str, identifier: str) -> None:
        """Delete a record."""
        self._of(domain).remove(self._find(domain, identifier))
        self._save()

    def _of(self, domain: str) -> list[dict[str, Any]]:
        if domain not in self._records:
            raise NotFoundError
        return self._records[domain]

    def _find(self, domain: str, identifier: str) -> dict[str, Any]:
        for record in self._of(domain):
            if str(record["id"]) == identifier:
                return record
        raise NotFoundError

    def _next_id(self) -> int:
        return 1 + max(
            (record["id"] for records in self._records.values() for record in records), default=0
        )

    def _save(self) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(self._records))
        new.replace(self._path)


def _checked(body: Body) -> dict[str, Any]:
    """Return the fields of a record in a request's body."""
    for field in ("type", "name", "data"):
        if not body.get(field):
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{field} is required")
    return dict.fromkeys(_FIELDS) | {"ttl": _TTL} | {x: body[x] for x in _FIELDS if body.get(x)}
