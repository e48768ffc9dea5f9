"""The images that a tag of the history checker may name, one after the other."""

from __future__ import annotations

import json
import random

from tests.soak import strangers
from tests.soak.client import Image, image, index

COUNT = 3

ODD = "odd"
"""The repository of what is not understood."""

Key = tuple[str, str]
"""A repository and a tag."""


def is_checked(key: Key) -> bool:
    """Return whether the registry asks for all that an image needs when it is pushed.

    It asks for no layer that has URLs, and in no index for layers.
    """
    return key[0] != ODD and kind_of(key) in {0, 4, 5}


class Variants:
    """Images of a few layers, each with a configuration of its own."""

    def __init__(self, seed: int, layers: list[bytes]) -> None:
        self._seed, self._layers = seed, layers

    def all_of(self, key: Key) -> list[Image]:
        return [self._variant(key, number) for number in range(COUNT)]

    def any_of(self, key: Key, chosen: random.Random) -> Image:
        return self._variant(key, chosen.randrange(COUNT))

    def _variant(self, key: Key, number: int) -> Image:
        chosen = random.Random(f"{self._seed} {key} {number}")
        layers = chosen.sample(self._layers, 3)
        config = config_of(chosen)
        kind = kind_of(key)
        if key[0] == ODD:
            form = chosen.choice(strangers.ODD)
            return strangers.plain(*key, config, layers, form)
        if kind == 0:
            second = image(key[0], "", config_of(chosen), chosen.sample(self._layers, 3))
            return index(*key, [image(key[0], "", config, layers), second])
        if kind == 1:
            return strangers.cache(*key, config, layers)
        if kind == 2:
            return strangers.plain(*key, config, layers, chosen.choice(strangers.STRANGE))
        plain = image(*key, config, layers)
        return strangers.signed(plain) if kind == 3 else plain


def kind_of(key: Key) -> int:
    """Return which kind of image a tag names."""
    return int(key[1][1:]) % 6


def config_of(chosen: random.Random) -> bytes:
    """Return a configuration that no other image has."""
    return json.dumps({"os": "linux", "author": f"{chosen.random()}"}).encode()
