"""Which pins are too old."""

from __future__ import annotations

import datetime
import re

from tests.gate.ages import modules, problems, recorded
from tests.gate.images import IMAGES
from tests.gate.workflows import ROOT

TODAY = datetime.date(2026, 11, 30)
OLD, NEW = datetime.date(2025, 11, 29), datetime.date(2025, 11, 30)


def test_a_pin_is_too_old_after_a_year_unless_there_is_a_reason() -> None:
    dates = {"a": OLD, "b": NEW, "c": OLD}
    assert problems(dates, {"c": "no newer one"}, TODAY) == ["a is of 2025-11-29: take a newer one"]


def test_an_exception_goes_when_a_newer_one_is_pinned() -> None:
    expected = ["b is no exception any more", "c is no exception any more"]
    assert problems({"b": NEW}, {"b": "x", "c": "x"}, TODAY) == expected


def test_every_default_image_has_a_date_and_no_other() -> None:
    """Whoever takes a newer one records when it was released."""
    assert set(recorded()["images"]) == set(IMAGES)


def test_the_table_of_default_images_is_of_these() -> None:
    table = (ROOT / "docs/gate.md").read_text()
    for image, date in recorded()["images"].items():
        assert f"| `{image}` | {date} |" in table


def test_newer_default_images_have_tags_of_the_same_form() -> None:
    """Renovate keeps what comes after the version: an alpine3.22 ends, and nobody is told."""
    assert all(re.fullmatch(r"[^:]+:\d+(\.\d+)+(-[a-z]+)?", image) for image in IMAGES)


def test_tools_and_what_mains_of_the_sandbox_require_are_looked_at() -> None:
    names = {pin.partition(" v")[0] for pin in modules()}
    assert {"github.com/caddyserver/caddy/v2", "github.com/traefik/traefik/v3"} <= names
    assert {*recorded()["kept"]} <= modules()
