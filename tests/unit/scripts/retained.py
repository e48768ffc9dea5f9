"""Images, rules, and what stays of the images as days pass."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.maintenance.clock import DAY
from scripts.maintenance.keys import tag_key
from scripts.maintenance.references import References
from scripts.maintenance.retention import Decision, Retention, Rule, decide
from scripts.maintenance.state import State
from scripts.maintenance.walk import Walk
from tests.unit.scripts.fake_bucket import Image, image, index
from tests.unit.scripts.fake_registry import World, done

HEX = "0123456789abcdef" * 8
NAMED_AFTER = [
    *(f"sha256-{HEX[:64]}{ending}" for ending in ("", ".sig", ".att", ".sbom", ".imgpkg", ".x.y")),
    f"sha384-{HEX[:96]}",
    *(f"sha512-{HEX}{ending}" for ending in ("", ".sig")),
    # Referrers' own tag ends after 64 digits.
    f"sha512-{HEX[:64]}",
]


def rule(
    repositories: Sequence[str] = ("*",),
    last: int = 0,
    days: float = 0,
    matching: Sequence[str] = (),
) -> Retention:
    return Retention([Rule("rule", repositories, last, days, matching)])


A, B, C = (image(name.encode() + b" config", name.encode()) for name in "abc")
SIGNATURE = image(b"signature of a", subject=A.digest)
OLD_SIGNATURE = image(b"signature of a, as cosign 2 makes it")
COSIGN = f"sha256-{A.digest[7:]}.sig"
BOTH = index(A, B)


class Days:
    """A registry's bucket, and what its maintenance decides as days pass.

    Attributes:
        world: The bucket and the registry.
        decision: What was decided last for the repository r.
    """

    def __init__(self, retention: Retention, *pushes: tuple[Image, str]) -> None:
        self.world, self._retention = World(), retention
        self._state = State()
        for pushed, tag in pushes:
            self.push(pushed, tag)

    def push(self, pushed: Image, tag: str, name: str = "r") -> None:
        self.world.objects.clock += 10
        assert done(self.world.pods[0].push(name, pushed, tag))

    def delete(self, deleted: Image, name: str = "r") -> None:
        kind = "_manifests/revisions"
        assert done(self.world.pods[0].delete(name, kind, deleted.digest)) == 202

    def look(self, runs: int = 1, days: float = 0.9) -> Decision:
        """Let so many runs see so many days pass between them; what expires is deleted."""
        bucket = self.world.objects
        for _ in range(runs):
            bucket.clock += days * DAY
            walk = Walk(bucket, References(bucket))
            assert not self._state.clock.advance(walk.now, walk.now)
            self.decision = decide("r", walk, self._retention, self._state, DAY)
            self._state.untagged["r"] = self.decision.untagged
            self._state.subjects["r"] = self.decision.subjects
            for tag in self.decision.expired:
                bucket.delete(tag_key("r", tag))
        return self.decision

    def kept(self, runs: int = 3) -> set[str]:
        return set(self.look(runs).kept)


def digests(*images: Image) -> set[str]:
    return {x.digest for x in images}
