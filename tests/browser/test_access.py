"""The page on any screen, with a keyboard, and read aloud."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import HOSTNAME, Chromium
from tests.browser.views import READY, VIEWS, rows, search, show, status

ROOT = Path(__file__).parent.parent.parent
SCREENS = {"desktop": (1000, 800), "phone": (320, 640)}


LONG = [pytest.param(*x, marks=pytest.mark.long) for x in (("desktop", "dark"), ("phone", "light"))]


@pytest.mark.parametrize(("screen", "scheme"), [("desktop", "light"), ("phone", "dark"), *LONG])
def test_axe_finds_nothing(
    browser: Chromium, place: str, axe: str, screen: str, scheme: str
) -> None:
    """Names, roles, contrast, sizes of what is pressed: the rules of WCAG 2.2 and good practice."""
    browser.look(*SCREENS[screen], scheme)
    for view in VIEWS:
        show(browser, place, view)
        # Another world than the page's, so that its policy stays as it is.
        browser.evaluate(f"{axe}; 0")
        violations = browser.evaluate(
            "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', "
            "'best-practice']}).then(x => x.violations.map(y => [y.id, y.nodes[0].html]))"
        )
        assert violations == [], view


@pytest.mark.parametrize("view", VIEWS)
def test_a_phone_needs_no_scrolling_sideways(browser: Chromium, place: str, view: str) -> None:
    browser.look(320, 640)
    show(browser, place, view)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 320


def tree(browser: Chromium) -> list[tuple[str, str]]:
    """Return role and name of all that a screen reader is told of."""
    nodes: list[dict[str, Any]] = browser.send("Accessibility.getFullAXTree")["nodes"]
    return [
        (x["role"]["value"], x.get("name", {}).get("value", ""))
        for x in nodes
        if not x.get("ignored")
    ]


@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen_reader_is_told_what_is_what(browser: Chromium, place: str, screen: str) -> None:
    """Also where a small screen shows a table as blocks."""
    browser.look(*SCREENS[screen])
    show(browser, place, "#/many")
    told = tree(browser)
    for wanted in (
        *(("banner", ""), ("main", ""), ("contentinfo", "")),
        *(("navigation", "Where you are"), ("navigation", "Pages")),
        *(("heading", "many"), ("status", ""), ("searchbox", "Search tags")),
        *(("table", "Tags"), ("columnheader", "Platforms"), ("rowheader", "v9999 sha256:")),
        *(("button", "Previous page"), ("button", "Next page"), ("link", "v9999")),
    ):
        assert any(role == wanted[0] and name.startswith(wanted[1]) for role, name in told), wanted
    roles = [role for role, _ in told]
    shown = rows(browser)
    assert roles.count("row") == 1 + len(shown)
    assert roles.count("cell") >= 3 * len(shown), "all that are not empty"


FOCUS = "document.activeElement"


def test_a_keyboard_is_enough(browser: Chromium, place: str) -> None:
    """What has the focus is seen, and after a step it is where one reads on."""
    show(browser, place)
    search(browser, "team/a", "1 to 1 of 1 repositories")
    browser.press("Tab")
    assert browser.evaluate(f"{FOCUS}.textContent") == "team/app"
    assert browser.evaluate(f"getComputedStyle({FOCUS}).outlineStyle") == "solid"
    browser.press("Enter")
    browser.wait_for("document.title.startsWith('team/app ')")
    browser.wait_for(READY)
    assert browser.evaluate(f"{FOCUS}.id") == "title"
    browser.press("Tab")
    assert browser.evaluate(f"{FOCUS}.id") == "search"
    browser.press("Tab")
    assert browser.evaluate(f"{FOCUS}.textContent") == "2.0.0"
    browser.press("Enter")
    browser.wait_for("document.title.startsWith('team/app:2.0.0 ')")
    browser.wait_for(READY)
    browser.press("Tab")
    assert browser.evaluate(f"{FOCUS}.ariaLabel").startswith("Copy docker pull ")


def test_pages_are_turned_by_the_keyboard(browser: Chromium, place: str) -> None:
    show(browser, place, "#/many")
    browser.evaluate("[...document.querySelectorAll('button')].at(-1).focus()")
    browser.press("Enter")
    browser.wait_for(READY)
    assert status(browser).startswith("26 to 50 of ")
    assert browser.evaluate(f"{FOCUS}.id") == "title"
    browser.press("Tab", shift=True)
    assert browser.evaluate(f"{FOCUS}.closest('nav').ariaLabel") == "Where you are"


def test_the_way_back_is_the_browser_s(browser: Chromium, place: str) -> None:
    show(browser, place)
    browser.evaluate("location.hash = '#/team/web'")
    browser.wait_for("document.title.startsWith('team/web ')")
    browser.evaluate("history.back()")
    browser.wait_for("document.title.startsWith('Repositories ')")


def test_what_is_copied_pulls_the_image(browser: Chromium, place: str) -> None:
    show(browser, place, "#/team/web:2026-11-30")
    grant = {"origin": f"http://{place}", "permissions": ["clipboardReadWrite"]}
    browser.send("Browser.grantPermissions", **grant)
    browser.evaluate("document.querySelector('.command button').click()")
    wanted = f"docker pull {place}/team/web:2026-11-30"
    browser.wait_for(f"document.querySelector('#status').textContent === 'Copied: {wanted}'")


def test_the_screenshots_of_the_documentation(
    browser: Chromium, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """They show what the page is; `make browser SCREENSHOTS=1` writes them."""
    keep = request.config.getoption("--screenshots")
    folder = ROOT / "docs" if keep else tmp_path
    browser.look(1000, 1000)
    show(browser, HOSTNAME)
    search(browser, "team", "1 to 2 of 2 repositories")
    browser.wait_for("document.querySelector('img').naturalWidth > 0")
    browser.screenshot(folder / "page-light.png")
    browser.look(375, 760, "dark")
    show(browser, HOSTNAME, "#/team/app")
    browser.screenshot(folder / "page-dark.png")
    for name in ("light", "dark"):
        assert 5_000 < (folder / f"page-{name}.png").stat().st_size < 150_000
