"""A copy is whole at each moment, whatever ends it and whatever happens meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.unit.scripts.copies import copy, require_whole, tags_of
from tests.unit.scripts.fake_bucket import (
    OF_BOTH,
    A,
    B,
    C,
    FakeBucket,
    Image,
    image,
    index,
)


class Killed(BaseException):
    """The pod was killed."""


def test_a_run_that_is_killed_at_any_request_leaves_whole_images_and_the_next_goes_on() -> None:
    images = {x.digest: x for x in (OF_BOTH, A, B, C)}
    requests = 0
    while True:
        source, target = FakeBucket(), FakeBucket()
        source.push("r", OF_BOTH, "1")
        copy(source, target)
        source.push("r", B, "1")
        source.push("s", index(B, C), "x")
        images[index(B, C).digest] = index(B, C)
        left = requests

        def kill(_method: str, _key: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed

        source.before = target.before = kill
        try:
            copy(source, target)
        except Killed:
            requests += 1
        else:
            break
        source.before = target.before = source.nothing
        require_whole(target, images)
        assert not copy(source, target).problems
        assert target.stored.items() >= source.stored.items()


def test_what_is_pushed_and_deleted_meanwhile_waits_for_the_next_run() -> None:
    def move(source: FakeBucket) -> None:
        source.push("r", B, "1")

    def delete(source: FakeBucket) -> None:
        source.delete_tag("r", "1")
        source.delete_manifest("r", A.digest)

    images = {x.digest: x for x in (A, B, C)}
    actions: list[Callable[[FakeBucket], None]] = [move, delete]
    for action in actions:
        requests = 0
        while True:
            source, target = FakeBucket(), FakeBucket()
            source.push("r", A, "1")
            source.push("r", C, "2")
            left = requests

            def act(_method: str, _key: str, source: FakeBucket = source) -> None:
                nonlocal left
                left -= 1
                if left == -1:
                    source.before, before = source.nothing, source.before
                    action(source)  # noqa: B023 - called in this round
                    source.before = before

            source.before = act
            copy(source, target)
            source.before = source.nothing
            require_whole(target, images)
            assert not copy(source, target).problems
            require_whole(target, images)
            if left >= 0:
                break
            requests += 1


@pytest.mark.parametrize("seed", range(60))
def test_a_good_copy_has_every_tag_of_a_history(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same choices in each run
    source, target = FakeBucket(), FakeBucket()
    images: dict[str, Image] = {}
    for _ in range(chance.randint(1, 8)):
        for _ in range(chance.randint(1, 6)):
            name, tag = chance.choice("ab"), chance.choice("123")
            step = chance.random()
            if step < 0.6:
                plain = [image(*(bytes([chance.randrange(9)]) for _ in range(3))) for _ in "12"]
                pushed = chance.choice([plain[0], index(*plain), index(plain[0], index(plain[1]))])
                images |= {x.digest: x for x in (pushed, *pushed.children, *plain)}
                source.push(name, pushed, tag)
            elif step < 0.75:
                source.delete_tag(name, tag)
            elif step < 0.9 and (name, tag) in tags_of(source):
                source.delete_manifest(name, tags_of(source)[name, tag])
            elif blobs := sorted(x for x in source.stored if x.endswith("/data")):
                source.stored[chance.choice(blobs)] = b"damaged"
        before = tags_of(target)
        copied = copy(source, target)
        require_whole(target, images)
        there = tags_of(target)
        assert there.keys() >= before.keys()
        if not copied.problems:
            assert there.items() >= tags_of(source).items()
        for key, digest in tags_of(source).items():
            # What a problem names may be old, and nothing else.
            named = any(x.startswith(f"{key[0]}:{key[1]}: ") for x in copied.problems)
            assert named or there[key] == digest
