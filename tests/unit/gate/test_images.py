"""What `make images` says of the tags of images."""

from __future__ import annotations

import pytest

from tests.gate.images import report

OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64
IMAGE = "docker.io/library/registry:3.1.2"


def now(_: str) -> str:
    return NEW


@pytest.mark.parametrize(
    ("recorded", "says", "passes"),
    [
        ({IMAGE: NEW}, f"{IMAGE}: {NEW}, as recorded", True),
        ({IMAGE: OLD}, f'{IMAGE}: was {OLD}; to record it: "{IMAGE}" = "{NEW}"', False),
        ({}, f'{IMAGE}: is not recorded; to record it: "{IMAGE}" = "{NEW}"', False),
    ],
)
def test_only_a_tag_with_the_recorded_digest_passes(
    recorded: dict[str, str], says: str, passes: bool
) -> None:
    assert report([IMAGE], recorded, now) == ([says], passes)


def test_a_registry_that_is_not_reached_hides_no_other_image() -> None:
    def current(image: str) -> str:
        if image == "away":
            raise OSError("no route")
        return NEW

    lines, same = report(["away", IMAGE], {IMAGE: NEW}, current)
    assert lines == ["away: not reached: no route", f"{IMAGE}: {NEW}, as recorded"]
    assert not same
