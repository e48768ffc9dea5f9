"""SpacesBucket of the digitalocean stand-in: a Space with its settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from typing_extensions import override

from sandbox.engine.plugins.resource import PartialError, ProviderError, Resource
from sandbox.engine.plugins.space import Space, connect
from sandbox.engine.plugins.wire import Properties

REGIONS = frozenset(
    {"ams3", "atl1", "blr1", "fra1", "lon1", "nyc3", "sfo2", "sfo3", "sgp1", "syd1", "tor1"}
)
"""The regions that upstream accepts.
https://docs.digitalocean.com/products/spaces/details/availability/"""

_ACLS = frozenset({"private", "public-read"})


class SpacesBucket(Resource):
    """A Space; its ID is its name.

    As upstream: a rename does not move the Space but looks for another one, the ACL and the CORS
    rules are never read back, and a deletion uses ``forceDestroy`` of the last update.
    """

    inputs: ClassVar[Mapping[str, object]] = {
        "name": None,
        "region": "nyc3",
        "acl": "private",
        "forceDestroy": False,
        "corsRules": None,
        "lifecycleRules": None,
        "versioning": None,
    }
    outputs = frozenset({"bucketDomainName", "bucketUrn", "endpoint"})
    replaces = frozenset({"region"})
    autonamed = True

    @override
    def check(self, inputs: Properties) -> Iterable[tuple[str, str]]:
        if inputs.get("region", "nyc3").lower() not in REGIONS:
            yield "region", f"expected one of {', '.join(sorted(REGIONS))}"
        if inputs.get("acl", "private") not in _ACLS:
            yield "acl", f"expected one of {', '.join(sorted(_ACLS))}"

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        target = self.with_defaults(inputs)
        space = self._space(target)
        space.create(target["acl"])
        created = {key: target[key] for key in ("name", "region", "forceDestroy")}
        return target["name"], self._set(space, created, target)

    @override
    def read(
        self, identifier: str, state: Properties, inputs: Properties
    ) -> tuple[Properties, Properties] | None:
        known = self.with_defaults({key: state[key] for key in self.inputs if key in state})
        known["name"] = identifier
        space = self._space(known)
        if not space.exists():
            return None
        drift: Properties = {}
        region = space.region()
        if region and region != known["region"]:
            drift["region"] = region
        versioned = space.versioned()
        if versioned != _enabled(known):
            # An absent setting means no versioning.
            drift["versioning"] = {"enabled": True} if versioned else None
        if space.lost_lifecycle():
            drift["lifecycleRules"] = None
        return _with_outputs(_merged(known, drift)), _merged(inputs, drift)

    @override
    def update(self, identifier: str, state: Properties, inputs: Properties) -> Properties:
        target = self.with_defaults(inputs)
        space = self._space(target)
        if not space.exists():
            raise ProviderError(f"there is no Space {target['name']} to update")
        return self._set(space, {key: state[key] for key in self.inputs if key in state}, target)

    @override
    def delete(self, identifier: str, state: Properties) -> None:
        self._space(state | {"name": identifier}).delete(force=state.get("forceDestroy", False))

    def _space(self, values: Properties) -> Space:
        return Space(connect(self.config, values["region"]), values["name"])

    @staticmethod
    def _set(space: Space, old: Properties, target: Properties) -> Properties:
        """Change the settings of a Space that differ, in upstream's order; return the new state.

        Args:
            space: The Space.
            old: The current settings, as far as known.
            target: The settings to reach.

        Raises:
            PartialError: The server rejected a setting; those before it are set.
        """
        current = dict(old)
        try:
            if old.get("acl") != target["acl"]:
                space.set_acl(target["acl"])
            current["acl"] = target["acl"]
            if old.get("corsRules") != target.get("corsRules"):
                space.set_cors(target.get("corsRules"))
            current["corsRules"] = target.get("corsRules")
            if _enabled(old) != _enabled(target):
                space.set_versioning(enabled=_enabled(target))
            current["versioning"] = target.get("versioning")
            if old.get("lifecycleRules") != target.get("lifecycleRules"):
                space.set_lifecycle(target.get("lifecycleRules"))
        except ProviderError as error:
            state = _with_outputs(_merged(current, {}))
            raise PartialError(str(error), target["name"], state) from None
        return _with_outputs(target)


def _enabled(values: Properties) -> bool:
    """Return whether versioning is on; an absent setting means off."""
    return bool(values.get("versioning", {}).get("enabled"))


def _merged(values: Properties, changes: Properties) -> Properties:
    """Return the values with the changes, of which None removes a value."""
    return {key: value for key, value in (values | changes).items() if value is not None}


def _with_outputs(values: Properties) -> Properties:
    # Derived from the region, as upstream does, even if the Space is elsewhere: not for clients.
    host = f"{values['region']}.digitaloceanspaces.com"
    return values | {
        "bucketDomainName": f"{values['name']}.{host}",
        "bucketUrn": f"do:space:{values['name']}",
        "endpoint": host,
    }
