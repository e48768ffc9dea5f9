"""SpacesBucket of the digitalocean stand-in: a Space, with its settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from typing_extensions import override

from sandbox.engine.plugins.resource import PartialError, ProviderError, Resource
from sandbox.engine.plugins.space import Space, connect
from sandbox.engine.plugins.wire import Properties

# https://docs.digitalocean.com/products/spaces/details/availability/
REGIONS = frozenset(
    {"ams3", "atl1", "blr1", "fra1", "lon1", "nyc3", "sfo2", "sfo3", "sgp1", "syd1", "tor1"}
)
"""Where upstream lets a Space be."""

_ACLS = frozenset({"private", "public-read"})


class SpacesBucket(Resource):
    """A Space; its identifier is its name.

    As upstream: a rename does not move the Space but looks for another one, the ACL and the CORS
    rules are never read back, and ``forceDestroy`` counts as it was at the last update.
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
        wanted = self.with_defaults(inputs)
        space = self._space(wanted)
        space.create(wanted["acl"])
        made = {key: wanted[key] for key in ("name", "region", "forceDestroy")}
        return wanted["name"], self._set(space, made, wanted)

    @override
    def read(
        self, identifier: str, state: Properties, inputs: Properties
    ) -> tuple[Properties, Properties] | None:
        found = self.with_defaults({key: state[key] for key in self.inputs if key in state})
        found["name"] = identifier
        space = self._space(found)
        if not space.exists():
            return None
        drift: Properties = {}
        region = space.region()
        if region and region != found["region"]:
            drift["region"] = region
        versioned = space.versioned()
        if versioned != _enabled(found):
            # No versioning is what an absent setting means.
            drift["versioning"] = {"enabled": True} if versioned else None
        if space.lost_lifecycle():
            drift["lifecycleRules"] = None
        return _with_outputs(_merged(found, drift)), _merged(inputs, drift)

    @override
    def update(self, identifier: str, state: Properties, inputs: Properties) -> Properties:
        wanted = self.with_defaults(inputs)
        space = self._space(wanted)
        if not space.exists():
            raise ProviderError(f"there is no Space {wanted['name']} to update")
        return self._set(space, {key: state[key] for key in self.inputs if key in state}, wanted)

    @override
    def delete(self, identifier: str, state: Properties) -> None:
        self._space(state | {"name": identifier}).delete(force=state.get("forceDestroy", False))

    def _space(self, values: Properties) -> Space:
        return Space(connect(self.config, values["region"]), values["name"])

    @staticmethod
    def _set(space: Space, old: Properties, wanted: Properties) -> Properties:
        """Change those settings of a Space that differ, in upstream's order.

        Args:
            space: The Space.
            old: What is set, as far as known.
            wanted: What shall be.

        Returns:
            The new state.

        Raises:
            PartialError: The server refused a setting; those before it are set.
        """
        done = dict(old)
        try:
            if old.get("acl") != wanted["acl"]:
                space.set_acl(wanted["acl"])
            done["acl"] = wanted["acl"]
            if old.get("corsRules") != wanted.get("corsRules"):
                space.set_cors(wanted.get("corsRules"))
            done["corsRules"] = wanted.get("corsRules")
            if _enabled(old) != _enabled(wanted):
                space.set_versioning(enabled=_enabled(wanted))
            done["versioning"] = wanted.get("versioning")
            if old.get("lifecycleRules") != wanted.get("lifecycleRules"):
                space.set_lifecycle(wanted.get("lifecycleRules"))
        except ProviderError as error:
            state = _with_outputs(_merged(done, {}))
            raise PartialError(str(error), wanted["name"], state) from None
        return _with_outputs(wanted)


def _enabled(values: Properties) -> bool:
    """Tell whether versioning is on; off and not given mean the same."""
    return bool(values.get("versioning", {}).get("enabled"))


def _merged(values: Properties, changes: Properties) -> Properties:
    """Give the values with the changes, of which None removes one."""
    return {key: value for key, value in (values | changes).items() if value is not None}


def _with_outputs(values: Properties) -> Properties:
    # Made of the region as upstream does, even if the Space is elsewhere: no client may use them.
    host = f"{values['region']}.digitaloceanspaces.com"
    return values | {
        "bucketDomainName": f"{values['name']}.{host}",
        "bucketUrn": f"do:space:{values['name']}",
        "endpoint": host,
    }
