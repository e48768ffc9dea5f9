"""The history checker: what the registry acknowledged must be there until it is deleted."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from tests.soak import strangers
from tests.soak.client import Client, Image, RefusedError, image
from tests.soak.rules import BUILDS, LAST, TIMES
from tests.soak.variants import ODD, Key, Variants, config_of, is_checked

REPOSITORIES = 4
TAGS = 12
SIGNATURES = "signatures"
"""The repository of signatures of images in other repositories."""


@dataclass
class Live:
    """What must be there since it was acknowledged, or since a part of it was deleted."""

    image: Image
    since: float


class Failure(NamedTuple):
    """What could not be pulled.

    Attributes:
        image: Its repository and tag, or digest.
        since: Since when it must be there.
        pulled: When the pull began.
        text: What was wrong.
    """

    image: str
    since: float
    pulled: float
    text: str


class History:
    """Pushes, overwrites, deletes and pulls by many clients.

    Few layers are pushed over and over, so that every push refers to some that are about to be
    deleted. Every image has its own configuration, so that no two tags have one digest.

    Args:
        addresses: The pods.
        seed: Of all choices.
        layers: How many layers there are.
    """

    def __init__(self, addresses: list[str], seed: int, layers: int = 40) -> None:
        self.addresses, self.seed = addresses, seed
        chosen = random.Random(seed)
        self.layers = [chosen.randbytes(chosen.randint(500, 5000)) for _ in range(layers)]
        self._variants = Variants(seed, self.layers)
        self.client = Client(addresses, seed)
        self.counts: Counter[str] = Counter()
        self.notes: list[str] = []
        self.live: dict[Key, Live] = {}
        self.failures: list[Failure] = []
        self.stopping = threading.Event()
        self._keys = [(f"team/r{r}", f"t{t}") for r in range(REPOSITORIES) for t in range(TAGS)]
        self._keys += [(ODD, f"t{tag}") for tag in range(6)]
        self._tried: set[Key] = set()
        self._built: deque[Key] = deque(maxlen=LAST)
        self._work = [self.push] * 4 + [self.push_untagged, self.name, self.build_on]
        self._work += [self.push_slowly] + [self.delete] * 2 + [self.delete_child] + [self.pull] * 2
        self._choices = [random.Random(f"{seed} {number}") for number in range(len(self._work))]
        self._locks: dict[Key, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()

    @property
    def acknowledged(self) -> int:
        kinds = ("pushed", "pushed by digest", "named", "pulled", "deleted", "child deleted")
        return sum(self.counts[kind] for kind in kinds)

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

    def lock(self, key: Key) -> threading.Lock:
        with self._guard:
            return self._locks[key if key[0] != BUILDS else (BUILDS, "")]

    def push(self, chosen: random.Random) -> None:
        """Push an image, and at times a signature of it, to a repository of signatures."""
        key = chosen.choice(self._keys)
        with self.lock(key):
            pushed = self._variants.any_of(key, chosen)
            if self._push(key, pushed, self.client.push, "pushed") and chosen.random() < 0.1:
                signature = strangers.signature(pushed, SIGNATURES)
                self._push((SIGNATURES, signature.tag), signature, self.client.push, "pushed")

    def push_slowly(self, chosen: random.Random) -> None:
        """Push an image, and its manifest so much later that its layers may be gone."""
        key = chosen.choice(self._keys)
        pause = chosen.uniform(0, 3 * TIMES.keep) if is_checked(key) else 0
        with self.lock(key):
            pushed = self._variants.any_of(key, chosen)
            self._push(key, pushed, lambda x: self.client.push(x, pause), "pushed")

    def name(self, chosen: random.Random) -> None:
        """Give an image a tag without asking for what it needs, as if it were there."""
        key = chosen.choice([key for key in self._keys if is_checked(key)])
        with self.lock(key):
            named = self._variants.any_of(key, chosen)
            self._push(key, named, self.client.name, "named")
        time.sleep(0.05)

    def build_on(self, chosen: random.Random) -> None:
        """Push the next build, of which a rule keeps the last ones, or a bundle, which stays."""
        config, layers = config_of(chosen), chosen.sample(self.layers, 3)
        with self.lock((BUILDS, "")):
            if chosen.random() < 0.1:
                pushed = strangers.named_after_itself(BUILDS, config, layers)
            else:
                pushed = image(BUILDS, f"b{self.counts['built']}", config, layers)
                self.count("built")
                if len(self._built) == LAST:
                    self.live.pop(self._built[0], None)
                self._built.append((BUILDS, pushed.tag))
            self._push((BUILDS, pushed.tag), pushed, self.client.push, "pushed")
        time.sleep(0.2)

    def _push(self, key: Key, pushed: Image, push: Callable[[Image], None], kind: str) -> bool:
        """Push an image, note that it must be there, and pull it; return whether it was taken."""
        before = self.live.pop(key, None)
        self._tried.add(key)
        try:
            push(pushed)
        except RefusedError as error:
            unknown = "BLOB_UNKNOWN" in str(error)
            self.note(f"{kind}: refused, blob unknown" if unknown else "refused", error)
            if before and before.image.digest == pushed.digest:
                self.live[key] = before
            return False
        self.live[key] = Live(pushed, time.time())
        self.count(kind)
        self._pull(self.live[key])
        return True

    def push_untagged(self, chosen: random.Random) -> None:
        """Push an image by its digest, and pull it while it must be there in any case."""
        key = (f"team/r{chosen.randrange(REPOSITORIES)}", f"untagged{chosen.randrange(6)}")
        with self.lock(key):
            always = random.Random(f"{self.seed} {key}")
            pushed = image(key[0], "", config_of(always), always.sample(self.layers, 3))
            try:
                self.client.push(pushed)
            except RefusedError as error:
                self.note("refused", error)
                return
            live = Live(pushed, time.time())
            self.count("pushed by digest")
            time.sleep(chosen.uniform(0, 1))
            self._pull(live)

    def delete(self, chosen: random.Random) -> None:
        key = chosen.choice(self._keys)
        with self.lock(key):
            if live := self.live.pop(key, None):
                path = chosen.choice([live.image.path, live.image.path_of_digest])
                self._delete(path, "deleted")

    def delete_child(self, chosen: random.Random) -> None:
        """Delete an image of an index by its digest, in half of all cases after the index."""
        indexes = [key for key, live in list(self.live.items()) if live.image.children]
        time.sleep(0.02)
        if not indexes:
            return
        key = chosen.choice(indexes)
        with self.lock(key):
            live = self.live.pop(key, None)
            if not live or not live.image.children:
                return
            whole = chosen.random() < 0.5
            if whole:
                self._delete(live.image.path_of_digest, "deleted")
            else:
                # From now on a run must give back the link.
                self.live[key] = live
            try:
                self._delete(chosen.choice(live.image.children).path, "child deleted")
            finally:
                live.since = time.time()

    def _delete(self, path: str, kind: str) -> None:
        try:
            self.client.call("DELETE", path, (202,))
        except RefusedError as error:
            self.note("delete refused", error)
        else:
            self.count(kind)

    def pull(self, chosen: random.Random) -> None:
        key = chosen.choice(list(self.live) or self._keys)
        with self.lock(key):
            if live := self.live.get(key):
                self._pull(live)

    def _pull(self, live: Live) -> None:
        began = time.time()
        try:
            self.client.pull(live.image)
        except RefusedError as error:
            self.note("unavailable", error)
            name = live.image.path
            with self._guard:
                self.failures.append(Failure(name, live.since, began, str(error)))
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
                time.sleep(0.05)
            if function == self.delete:
                # Else too little would be alive.
                time.sleep(0.01)
        self.client.close()

    def settle(self) -> None:
        """Delete all of which nobody knows whether it is there, and what nothing else deletes.

        That is what is odd, and signatures of what was deleted before any run has seen it. A build
        whose push failed keeps an older one among the last that a rule keeps.
        """
        paths = []
        for key in {*self._keys, *self._tried}:
            if key[0] == ODD:
                self.live.pop(key, None)
                paths += [odd.path_of_digest for odd in self._variants.all_of(key)]
            if key not in self.live:
                paths.append(f"/v2/{key[0]}/manifests/{key[1]}")
        for key in self._keys:
            current = self.live[key].image.digest if key in self.live else ""
            for variant in self._variants.all_of(key):
                if variant.digest != current:
                    paths += [signature.path for signature in variant.described_by]
        for path in paths:
            self.client.call("DELETE", path, (202, 404))
        self.client.close()

    def parts(self) -> set[str]:
        """Return the digests of all that must be there."""
        return set().union(*(live.image.parts() for live in self.live.values()))

    def broken(self) -> list[str]:
        """Pull everything that must be there from every pod, and return what is wrong."""
        wrong = []
        for key, live in self.live.items():
            for address in self.addresses:
                try:
                    self.client.pull(live.image, address)
                except RefusedError as error:
                    wrong.append(f"{key} {live.image.digest} from {address}: {error}")
        with suppress(OSError):
            self.client.close()
        return wrong
