"""The history checker: what the registry acknowledged must be there until it is deleted."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from tests.soak.client import Client, Image, RefusedError, image, index

REPOSITORIES = 4


class History:
    """Pushes, overwrites, deletes and pulls by many clients.

    Few layers are pushed over and over, so that every push refers to some that are about to be
    deleted. Every image has its own configuration, so that no two tags have one digest.

    Args:
        addresses: The registries.
        seed: Of all choices.
        layers: How many layers there are.
        tags: How many tags each repository has.
    """

    def __init__(self, addresses: list[str], seed: int, layers: int = 40, tags: int = 12) -> None:
        self.addresses, self.seed = addresses, seed
        chosen = random.Random(seed)
        self.layers = [chosen.randbytes(chosen.randint(500, 5000)) for _ in range(layers)]
        self.tags = tags
        self.client = Client(addresses, seed)
        self.counts: Counter[str] = Counter()
        self.notes: list[str] = []
        self.live: dict[tuple[int, int], Image] = {}
        self.half_deleted: set[str] = set()
        """Images of which nobody knows whether they were deleted: of some a tag may be left."""
        self.stopping = threading.Event()
        self._work = [self.push] * 5 + [self.delete] * 2 + [self.pull] * 2
        self._choices = [random.Random(f"{seed} {number}") for number in range(len(self._work))]
        self._locks = {(r, t): threading.Lock() for r in range(REPOSITORIES) for t in range(tags)}
        self._guard = threading.Lock()

    @property
    def acknowledged(self) -> int:
        return sum(self.counts[kind] for kind in ("pushed", "pulled", "deleted"))

    def has_done(self, operations: int) -> bool:
        return self.acknowledged >= operations

    def note(self, kind: str, text: object) -> None:
        with self._guard:
            self.counts[kind] += 1
            if self.counts[kind] <= 10:
                self.notes.append(f"{time.time():.2f} {kind}: {text}")

    def count(self, kind: str) -> None:
        with self._guard:
            self.counts[kind] += 1

    def build(self, key: tuple[int, int], chosen: random.Random) -> Image:
        """Make one of the three images that a tag may name; one in four is an index."""
        repository, tag = f"team/r{key[0]}", f"t{key[1]}"
        variant = random.Random(f"{self.seed} {key} {chosen.randrange(3)}")
        children = []
        for child in range(2 if key[1] % 4 == 0 else 1):
            config = {"os": "linux", "architecture": str(child), "author": f"{variant.random()}"}
            layers = variant.sample(self.layers, 3)
            children.append(image(repository, tag, json.dumps(config).encode(), layers))
        if len(children) == 1:
            return children[0]
        untagged = [Image(x.repository, "", x.blobs, x.manifest) for x in children]
        return index(repository, tag, untagged)

    def push(self, chosen: random.Random) -> None:
        key = chosen.choice(list(self._locks))
        with self._locks[key]:
            pushed = self.build(key, chosen)
            before = self.live.pop(key, None)
            try:
                self.client.push(pushed)
            except RefusedError as error:
                unknown = "BLOB_UNKNOWN" in str(error)
                self.note("refused, blob unknown" if unknown else "refused", error)
                if before and before.digest == pushed.digest:
                    self.live[key] = before
                return
            self.live[key] = pushed
            self.count("pushed")
            self._pull(pushed, "unavailable after push")

    def delete(self, chosen: random.Random) -> None:
        key = chosen.choice(list(self._locks))
        with self._locks[key]:
            if deleted := self.live.pop(key, None):
                by = chosen.choice([deleted.digest, deleted.tag])
                path = f"/v2/{deleted.repository}/manifests/{by}"
                try:
                    self.client.call("DELETE", path, (202,))
                except RefusedError as error:
                    self.note("delete refused", error)
                except OSError:
                    with self._guard:
                        self.half_deleted.add(f"{deleted.repository}:{deleted.tag}")
                    raise
                else:
                    self.count("deleted")

    def pull(self, chosen: random.Random) -> None:
        key = chosen.choice(list(self._locks))
        with self._locks[key]:
            if key in self.live:
                self._pull(self.live[key], "unavailable")

    def _pull(self, pulled: Image, failure: str) -> None:
        try:
            self.client.pull(pulled)
        except RefusedError as error:
            self.note(failure, error)
        else:
            self.count("pulled")

    def run(self, enough: Callable[[], bool], disturb: Callable[[int], None]) -> None:
        """Work until it is enough; disturb all the while. Another run goes on from there."""
        self.stopping.clear()
        threads = [
            threading.Thread(target=self._repeat, args=work)
            for work in zip(self._work, self._choices, strict=True)
        ]
        for thread in threads:
            thread.start()
        try:
            while not enough():
                disturb(self.acknowledged)
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join()

    def _repeat(self, function: Callable[[random.Random], None], chosen: random.Random) -> None:
        while not self.stopping.is_set():
            try:
                function(chosen)
            except OSError as error:
                # Of a pod that was stopped: not acknowledged, and so nothing is promised.
                self.note("no response", error)
            if function == self.delete:
                # Else too little would be alive.
                time.sleep(0.01)
        self.client.close()

    def broken(self) -> list[str]:
        """Pull everything that must be there from every registry, and return what is wrong."""
        wrong = []
        for key, pulled in self.live.items():
            for address in self.addresses:
                try:
                    self.client.pull(pulled, address)
                except RefusedError as error:
                    wrong.append(f"{key} {pulled.digest} from {address}: {error}")
        with suppress(OSError):
            self.client.close()
        return wrong
