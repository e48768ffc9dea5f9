"""What the page shows, as tests read it."""

from __future__ import annotations

import json

from tests.browser.chromium import Chromium

READY = (
    "document.querySelector('#user')?.textContent && !document.querySelector('[aria-busy]')"
    " && !document.querySelector('#status').textContent.startsWith('Loading')"
)
VIEWS = ("", "#/team/app", "#/team/app:2.0.0", "#/many", "#/guest/app:hostile", "#/nothing:here")


def show(browser: Chromium, place: str, view: str = "") -> str:
    """Open a view, and return all that it shows."""
    browser.open("about:blank")
    browser.wait_for("location.href === 'about:blank'")
    browser.open(f"http://{place}/{view}")
    browser.wait_for(READY)
    return browser.text()


def rows(browser: Chromium) -> list[list[str]]:
    """Return the texts of the first table's cells."""
    script = (
        "[...document.querySelectorAll('tbody tr')].map(x => [...x.cells].map(y => y.innerText))"
    )
    found: list[list[str]] = browser.evaluate(script)
    return found


def status(browser: Chromium) -> str:
    return str(browser.evaluate("document.querySelector('#status').textContent"))


def search(browser: Chromium, text: str, wanted: str) -> None:
    """Write into the search, and wait for a status."""
    browser.evaluate("document.querySelector('#search').focus()")
    browser.write(text)
    browser.wait_for(f"document.querySelector('#status').textContent === {json.dumps(wanted)}")
