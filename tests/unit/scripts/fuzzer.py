"""Worlds of random events: clients, pods and runs that stop at any request to the storage."""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import pytest

from scripts.maintenance import repair
from scripts.maintenance.clock import DAY
from scripts.maintenance.plan import Times
from scripts.maintenance.retention import Retention, Rule
from tests.unit.scripts import fake_bucket
from tests.unit.scripts.clients import IDLE, LONG, delete, push
from tests.unit.scripts.fake_bucket import Image, digest_of, image, index
from tests.unit.scripts.fake_registry import STEP_SECONDS, Pod, World

TIMES = Times(keep=3000, grace=1500)

STAYS_SECONDS = 9000
"""How long a rule keeps a tag, or what has none."""

RETENTIONS = (
    Retention(),
    Retention(untagged_days=STAYS_SECONDS / DAY),
    Retention([Rule("days", ["*"], last=0, days=STAYS_SECONDS / DAY, matching=[])], 0),
)

SLOTS = [(name, tag) for name in ("r", "s") for tag in ("a", "b", "")]
"""What is pushed to: repositories and tags; without a tag by its digest."""

VARIANTS = 2
EVENTS = 200


class KilledError(BaseException):
    """The maintenance is killed: nothing more of the run happens."""


@dataclass
class Work:
    """A client's push or delete that is under way.

    Attributes:
        slot: What it is about; nothing else is about it meanwhile.
        pod: The pod that it uses.
        steps: What is left of it.
        pushed: The image, if it is a push.
        began: When it began.
        request: When its current request began; 0 between two of them.
        waits: Until when the client waits between two requests.
    """

    slot: tuple[str, str]
    pod: Pod
    steps: Generator[str | None, None, bool]
    pushed: Image | None
    began: float
    request: float = 0
    waits: float = 0


@dataclass
class Live:
    """What must be there: an image, until when, and as of which run."""

    image: Image
    until: float
    run: float


class Fuzzer:
    """One world.

    Args:
        seed: Of all that happens.
        remembers_manifests: Whether one process of a pod takes everything.

    Attributes:
        failures: What was broken, or falsely reported.
    """

    def __init__(self, seed: int, *, remembers_manifests: bool = False) -> None:
        self._random = random.Random(seed)  # noqa: S311 - the same worlds in each run
        self._remembers = remembers_manifests
        self.retention = RETENTIONS[seed % len(RETENTIONS)]
        self.world = World(self.retention)
        self.world.pods[:] = [self._new_pod(), self._new_pod()]
        self._layers = [b"layer %d" % number for number in range(5)]
        self._works: list[Work] = []
        self._live: dict[tuple[str, str], Live] = {}
        self._runs = 0
        self.acknowledged = 0
        self.failures: list[str] = []

    def _new_pod(self) -> Pod:
        return Pod(self.world.objects, self._remembers)

    @property
    def _now(self) -> float:
        return self.world.objects.clock

    def run(self) -> None:
        """Let everything happen, then clean up, and see what is left."""
        events = [self._start_push] * 4 + [self._start_delete] * 3 + [self._move] * 8
        events += [self._collect] * 4 + [self._wait] * 2
        events = [*events * 2, self._restart]
        for _ in range(EVENTS):
            self._random.choice(events)()
        for work in list(self._works):
            self._finish(work)
        self._settle()

    def _image(self, tag: str, variant: int) -> Image:
        """Return what a tag may name, the same in each repository."""
        chosen = random.Random(f"{tag} {variant}")  # noqa: S311 - likewise

        def build(number: int) -> Image:
            return image(f"{tag} {variant} {number}".encode(), *chosen.sample(self._layers, 2))

        return build(0) if variant == 0 else index(build(1), build(2))

    def _start_push(self) -> None:
        slot = self._random.choice(SLOTS)
        if slot in (work.slot for work in self._works):
            return
        pushed = self._image(slot[1], self._random.randrange(VARIANTS))
        pod = self._random.choice(self.world.pods)
        self._live.pop(slot, None)
        steps = push(pod, *slot, pushed, self._random)
        self._works.append(Work(slot, pod, steps, pushed, self._now))

    def _start_delete(self) -> None:
        """Delete a tag, or an image by its digest, alone, or an index's, or with all of them."""
        if not self._live:
            return
        slot = self._random.choice(list(self._live))
        if slot in (work.slot for work in self._works):
            return
        live, pod = self._live[slot], self._random.choice(self.world.pods)
        children = list(live.image.children)
        deleted = self._random.choice([[live.image], children[:1], [live.image, *children]])
        if live.image in deleted:
            del self._live[slot]
        else:
            # A run that begins afterwards must give it back.
            live.run = float("inf")
        by_tag = deleted == [live.image] and self._random.random() < 0.5
        steps = delete(pod, *slot, deleted, by_tag=by_tag)
        self._works.append(Work(slot, pod, steps, None, self._now))

    def _move(self) -> None:
        """Let some client go on for some requests to the storage."""
        awake = [work for work in self._works if work.waits <= self._now]
        if awake:
            work = self._random.choice(awake)
            for _ in range(self._random.choice([1, 3, 10, 100])):
                if work not in self._works or work.waits > self._now:
                    break
                self._step(work)

    def _step(self, work: Work) -> bool:
        """Do one step, and return whether a request is under way."""
        try:
            yielded = next(work.steps)
        except StopIteration as end:
            self._works.remove(work)
            self._end(work, acknowledged=bool(end.value))
            return False
        idle = yielded in {IDLE, LONG}
        work.request = 0 if idle else work.request or self._now
        if yielded == LONG and self._random.random() < 0.4:
            work.waits = self._now + self._random.uniform(0, 4 * TIMES.keep)
        return not idle

    def _end(self, work: Work, *, acknowledged: bool) -> None:
        if work.pushed and acknowledged:
            self.acknowledged += 1
            days = self.retention.untagged_days
            stays = float("inf") if days is None else days * DAY
            if work.slot[1]:
                stays = STAYS_SECONDS if self.retention.rules else float("inf")
            self._live[work.slot] = Live(work.pushed, work.began + stays, self._runs)
        elif not work.pushed and work.slot in self._live:
            self._live[work.slot].run = self._runs

    def _finish(self, work: Work) -> None:
        while work in self._works:
            self._step(work)

    def _pass(self, seconds: float) -> None:
        """Let time pass; no request takes longer than the grace."""
        for work in list(self._works):
            if work.request and self._now + seconds - work.request >= TIMES.grace:
                while self._step(work):
                    pass
        self.world.objects.clock += seconds

    def _wait(self) -> None:
        self._pass(self._random.uniform(0, TIMES.keep))

    def _restart(self) -> None:
        """Replace a pod: it ends what it does, or is killed."""
        number = self._random.randrange(2)
        old = self.world.pods[number]
        killed = self._random.random() < 0.5
        for work in [work for work in self._works if work.pod is old]:
            if killed:
                self._works.remove(work)
                self._end(work, acknowledged=False)
            else:
                self._finish(work)
        self.world.pods[number] = self._new_pod()

    def _collect(self) -> None:
        """Do one run, which may be killed, while clients go on."""
        self._pass(STEP_SECONDS)
        self.world.objects.clock -= STEP_SECONDS
        self._runs += 1
        before = {slot: (live, live.run) for slot, live in self._live.items()}
        busy = False

        def meanwhile(*_: str) -> None:
            nonlocal busy
            if busy:
                return
            busy = True
            if self._random.random() < 0.1:
                self._move()
            busy = False
            if self._random.random() < 0.002:
                raise KilledError

        self.world.objects.before = meanwhile
        try:
            lost = self.world.collect(TIMES).health.lost
        except KilledError:
            return
        finally:
            self.world.objects.before = self.world.objects.nothing
        self.failures += [f"reported: {what}" for what in lost]
        for (name, tag), (live, run) in before.items():
            same = self._live.get((name, tag)) is live and live.run == run < self._runs
            if same and self._now < live.until:
                wrong = self.world.broken(name, live.image, tag)
                self.failures += [f"{name}:{tag} {live.image.digest}: {wrong}"] if wrong else []

    def _settle(self) -> None:
        """Delete what no client knows to be there, and see whether all that is not needed goes."""
        if self.retention.untagged_days is None:
            return
        for name, tag in SLOTS:
            if tag and (name, tag) not in self._live:
                self.world.objects.delete_tag(name, tag)
        for _ in range(60):
            self._collect()
        needed = {x for (_, tag), live in self._live.items() if tag for x in parts(live.image)}
        keys = self.world.objects.stored
        left = {key for key in keys if "/blobs/" in key and key.split("/")[-2] not in needed}
        self.failures += [f"left: {key}" for key in left]


def parts(of: Image) -> set[str]:
    """Return the digests of all that an image needs, without the algorithm."""
    own = {of.digest[7:], *(digest_of(layer)[7:] for layer in of.layers)}
    return own.union(*map(parts, of.children))


def failures(
    monkeypatch: pytest.MonkeyPatch, worlds: range, *, remembers_manifests: bool = False
) -> Iterator[str]:
    """Yield what goes wrong in some worlds, and in which, as it comes."""
    # Each world has many runs, and each list several pages still.
    monkeypatch.setattr(fake_bucket, "PAGE", 25)
    monkeypatch.setattr(repair, "SETTLE_SECONDS", 0)
    for number in worlds:
        fuzzer = Fuzzer(number, remembers_manifests=remembers_manifests)
        fuzzer.run()
        yield from (f"world {number}: {failure}" for failure in fuzzer.failures)
