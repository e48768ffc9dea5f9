"""The stand-in for the resource plugin of pulumi-random.

It has RandomBytes, RandomPassword and RandomString, with the released SDK's properties. Values come
from the operating system, as upstream's do, and stay in the state until a property or a keeper
changes. Not covered: the other types, import, and upgrades of old states.
"""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Iterable, Mapping
from typing import ClassVar

from typing_extensions import override

from sandbox.engine.plugins.resource import Resource
from sandbox.engine.plugins.resource_plugin import Plugin
from sandbox.engine.plugins.wire import Properties

_LETTERS = {
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "numeric": string.digits,
    "special": "!@#$%&*()-_=+[]{}<>:?",
}
"""The characters of each kind; the special ones are in upstream's documentation.
https://www.pulumi.com/registry/packages/random/api-docs/randompassword/"""

_MINIMUM = {kind: f"min{kind.capitalize()}" for kind in _LETTERS}
"""For each kind, the property with its minimum number of characters."""


class _Random(Resource):
    """A random value: it is in the state only, and any change replaces it."""

    @override
    def check(self, inputs: Properties) -> Iterable[tuple[str, str]]:
        if inputs.get("length", 1) < 1:
            yield "length", "expected at least 1"

    @override
    def read(
        self, identifier: str, state: Properties, inputs: Properties
    ) -> tuple[Properties, Properties]:
        return state, inputs

    @override
    def update(self, identifier: str, state: Properties, inputs: Properties) -> Properties:
        raise NotImplementedError("every change replaces")

    @override
    def delete(self, identifier: str, state: Properties) -> None:
        """Do nothing: nothing exists outside the state."""


class RandomBytes(_Random):
    """Bytes, in base64 and hexadecimal."""

    inputs: ClassVar[Mapping[str, object]] = {"length": None, "keepers": None}
    required = frozenset({"length"})
    outputs = frozenset({"base64", "hex"})
    secret_outputs = outputs
    replaces = frozenset(inputs)

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        drawn = secrets.token_bytes(inputs["length"])
        state = {"base64": base64.b64encode(drawn).decode(), "hex": drawn.hex()}
        return "none", self.with_defaults(inputs) | state


class RandomString(_Random):
    """Characters of the enabled kinds; not secret, and also the resource's ID."""

    inputs: ClassVar[Mapping[str, object]] = {
        "length": None,
        "keepers": None,
        "overrideSpecial": None,
        "number": True,  # the older name of numeric
        **dict.fromkeys(_LETTERS, True),
        **dict.fromkeys(_MINIMUM.values(), 0),
    }
    required = frozenset({"length"})
    outputs = frozenset({"result"})
    replaces = frozenset(inputs)

    @override
    def check(self, inputs: Properties) -> Iterable[tuple[str, str]]:
        yield from super().check(inputs)
        least = sum(inputs.get(name, 0) for name in _MINIMUM.values())
        if least > inputs.get("length", least):
            yield "length", f"expected at least {least}, the sum of the minimum counts"
        if not self._kinds(inputs):
            yield "special", "expected at least one kind of character to be allowed"

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        drawn = self.draw(inputs)
        return drawn, self.with_defaults(inputs) | {"result": drawn}

    @staticmethod
    def _kinds(inputs: Properties) -> dict[str, str]:
        """Return the characters of each enabled kind."""
        letters = _LETTERS | {"special": inputs.get("overrideSpecial") or _LETTERS["special"]}
        allowed = {"numeric": inputs.get("number", True)} | inputs
        return {kind: letters[kind] for kind in letters if allowed.get(kind, True)}

    def draw(self, inputs: Properties) -> str:
        """Draw the minimum of each kind, then the rest of any kind, and shuffle."""
        kinds = self._kinds(inputs)
        drawn = [
            secrets.choice(letters)
            for kind, letters in kinds.items()
            for _ in range(inputs.get(_MINIMUM[kind], 0))
        ]
        every = "".join(kinds.values())
        drawn += [secrets.choice(every) for _ in range(inputs["length"] - len(drawn))]
        secrets.SystemRandom().shuffle(drawn)
        return "".join(drawn)


class RandomPassword(RandomString):
    """A secret string with its bcrypt hash."""

    outputs = frozenset({"result", "bcryptHash"})
    secret_outputs = outputs

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        import bcrypt  # slow to import, and only needed by a creation

        drawn = self.draw(inputs)
        # Upstream hashes with Go's default cost, 10; bcrypt accepts no more than 72 bytes.
        hashed = bcrypt.hashpw(drawn.encode()[:72], bcrypt.gensalt(10)).decode()
        return "none", self.with_defaults(inputs) | {"result": drawn, "bcryptHash": hashed}


PLUGIN = Plugin("random", (RandomBytes, RandomPassword, RandomString), dict)

if __name__ == "__main__":
    PLUGIN.serve(
        "Stand-in for the pulumi-random plugin: RandomBytes, RandomPassword and RandomString only."
    )
