"""What the page shows, and to whom: on any screen, with a keyboard, read aloud, and attacked.

Who gets which file: `tests/soak/test_page.py`.
"""

from __future__ import annotations

import gzip
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from components.reports import rights_key
from tests.browser.chromium import Chromium
from tests.browser.library import HOSTILE, MANY, RIGHTS
from tests.browser.views import READY, VIEWS, rows, search, show, status
from tests.soak.servers import PASSWORD, Servers


def complaints(browser: Chromium) -> list[str]:
    """Return what the browser complained of, but for questions whose answer is no."""
    return [x for x in browser.problems if "404 (Not Found)" not in x]


def test_all_repositories_are_shown_with_their_sizes_and_the_chart(
    browser: Chromium, place: str
) -> None:
    text = show(browser, place)
    assert status(browser) == "1 to 25 of 37 repositories"
    (app,) = (row for row in rows(browser) if row[0] == "team/app")
    assert app == ["team/app", "10", "23.0\xa0MiB", "23.0\xa0MiB"]
    assert "Shared by repositories" in text
    assert "the maintenance's look on" in text
    browser.wait_for("document.querySelector('img').naturalWidth > 0")
    assert not browser.problems


def test_a_tag_is_shown_with_its_platforms_its_size_and_what_signs_it(
    browser: Chromium, place: str
) -> None:
    show(browser, place, "#/team/app")
    assert status(browser) == "1 to 8 of 8 tags", "what only signs is no tag of an image"
    first, *others = rows(browser)
    name, platforms, size, pushed, signed, _ = first
    assert name.startswith("2.0.0\nsha256:")
    assert (platforms, size) == ("linux/amd64, linux/arm64/v8", "5.5\xa0MiB")
    assert pushed
    assert signed == "attestation (BuildKit), signature (cosign), SBOM, signature (Notation)"
    assert [row[0].split("\n")[0] for row in others] == [f"1.{n}.0" for n in reversed(range(7))]
    assert all(row[4] == "" for row in others)
    assert not browser.problems


def test_an_image_is_shown_with_what_pulls_it(browser: Chromium, place: str) -> None:
    text = show(browser, place, "#/team/app:2.0.0")
    digest = next(line for line in text.splitlines() if line.startswith("sha256:"))
    assert f"docker pull {place}/team/app:2.0.0" in text
    assert f"docker pull {place}/team/app@{digest}" in text
    assert [row[:2] for row in rows(browser)[:2]] == [
        ["linux/amd64", "3.0\xa0MiB"],
        ["linux/arm64/v8", "2.5\xa0MiB"],
    ]
    by_digest = show(browser, place, f"#/team/app@{digest}")
    assert f"docker pull {place}/team/app@{digest}" in by_digest
    assert "signature (Notation)" in by_digest
    assert not complaints(browser)


def test_what_a_scan_has_found_is_beside_the_tag_and_with_the_image(
    browser: Chromium, place: str
) -> None:
    show(browser, place, "#/team/app")
    found = [row[5] for row in rows(browser)]
    assert found == ["1 critical, 12 high", *[""] * 7], "of others nothing is known"
    text = show(browser, place, "#/team/app:2.0.0")
    assert "Known vulnerabilities" in text
    assert ["CVE-2026-9001", "critical", "openssl", "3.5.1", "3.5.4"] in rows(browser)
    show(browser, place, "#/base")
    assert rows(browser)[0][5] == "could not be scanned"
    assert "Its distribution tells of none" in show(browser, place, "#/guest/app:hostile")
    assert not complaints(browser)


def test_what_is_no_image_and_what_has_odd_names_is_shown_too(
    browser: Chromium, place: str
) -> None:
    """To JavaScript, every object has something called "constructor"."""
    show(browser, place, "#/charts/web")
    ((_, kind, *_),) = rows(browser)
    assert kind == "application/vnd.cncf.helm.config.v1+json"
    show(browser, place, "#/constructor")
    ((name, platform, _, when, *_),) = rows(browser)
    assert name.startswith("constructor\n")
    assert (platform, when) == ("linux/amd64", "after the last look")
    assert not browser.problems


def test_all_that_was_pushed_is_shown_as_text(browser: Chromium, place: str) -> None:
    show(browser, place, "#/guest/app")
    ((_, platform, *_),) = rows(browser)
    assert platform == f"linux/{HOSTILE}"
    text = show(browser, place, "#/guest/app:hostile")
    wanted = "a platform, label and annotation with their values, and all of a finding"
    assert text.count(HOSTILE) == 10, wanted
    assert browser.evaluate("document.querySelectorAll('main img, main script').length") == 0
    assert not complaints(browser)


def test_a_script_that_got_into_the_page_does_not_run(browser: Chromium, place: str) -> None:
    """A second wall, behind that of the test before."""
    show(browser, place)
    for attack in (
        f"document.body.innerHTML = {json.dumps(HOSTILE)}",
        "const x = document.createElement('script'); x.text = 'alert(3)'; document.body.append(x)",
        "location.href = 'javascript:alert(4)'",
        "document.body.setAttribute('onclick', 'alert(5)'); document.body.click()",
    ):
        ran = browser.evaluate(
            f"try {{ {attack}; 'allowed' }} catch (error) {{ error.constructor.name }}"
        )
        assert ran in {"allowed", "TypeError"}
    browser.evaluate("new Promise((done) => setTimeout(done, 200))")
    assert not [x for x in browser.problems if "a script has run" in x]
    assert [x for x in browser.problems if "Content Security Policy" in x]


def test_ten_thousand_tags_have_pages_and_a_search(browser: Chromium, place: str) -> None:
    show(browser, place, "#/many")
    assert status(browser) == f"1 to 25 of {MANY:,} tags"
    assert rows(browser)[0][0].startswith("v9999\n")
    asked = len(browser.requests)
    browser.evaluate("[...document.querySelectorAll('button')].at(-1).click()")
    browser.wait_for(READY)
    assert status(browser) == f"26 to 50 of {MANY:,} tags"
    assert len(browser.requests) - asked <= 2 * 25, "of what is on the screen, and of no more"
    search(browser, "v1234", "1 to 1 of 1 tags")
    assert [row[0].split("\n")[0] for row in rows(browser)] == ["v1234"]
    assert not browser.problems


@pytest.mark.parametrize("user", ["ci"])
def test_a_user_sees_what_he_may_pull_and_nothing_else(browser: Chromium, place: str) -> None:
    text = show(browser, place)
    assert [row[0] for row in rows(browser)] == ["base", "team/app", "team/web"]
    assert "This login may pull: base, team/*." in text
    assert "Storage" not in text
    assert not browser.problems
    # A repository that the maintenance has not seen yet.
    search(browser, "team/newer", "0 repositories")
    assert browser.evaluate("document.querySelector('main p a').hash") == "#/team/newer"
    assert "may not pull that" in show(browser, place, "#/many")


@pytest.mark.parametrize("user", ["new"])
def test_before_the_first_look_the_page_says_so(browser: Chromium, place: str) -> None:
    text = show(browser, place)
    assert "The maintenance has not looked yet" in text
    assert not complaints(browser)


@pytest.mark.parametrize("user", ["ci"])
def test_what_had_no_room_is_told_of(browser: Chromium, place: str, servers: Servers) -> None:
    path = servers.folder / "page" / f"usage.{rights_key(RIGHTS['ci'])}.json.gz"
    whole = path.read_bytes()
    told = json.loads(gzip.decompress(whole)) | {"cut": True, "pushed": {}}
    path.write_bytes(gzip.compress(json.dumps(told).encode()))
    try:
        assert "There is more than it has room for" in show(browser, place, "#/team/app")
    finally:
        path.write_bytes(whole)


def test_a_login_in_the_address_bar_works_as_one_that_was_asked_for(
    browser: Chromium, place: str
) -> None:
    """A page of such an address cannot ask for a relative one."""
    show(browser, f"admin:{PASSWORD.replace(' ', '%20')}@{place}", "#/team/app")
    assert rows(browser)
    assert not browser.problems


def test_nothing_is_asked_of_anybody_else(browser: Chromium, place: str) -> None:
    for view in VIEWS:
        show(browser, place, view)
    hosts = {urlsplit(url).netloc for url in browser.requests if not url.startswith("data:")}
    assert hosts == {place}


@contextmanager
def another_site(page: str) -> Iterator[str]:
    """Serve a page from another host, and yield its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


def test_a_page_of_another_site_cannot_use_the_login(
    browser: Chromium, place: str, servers: Servers
) -> None:
    """Chromium sends it along: without the rule, an upload would begin."""
    show(browser, place)
    url = f"http://{place}/v2/team/app/blobs/uploads/"
    uploads = servers.folder / "buckets/images/docker/registry/v2/repositories/team/app/_uploads"
    before = set(uploads.glob("*"))
    form = f"<iframe name=f></iframe><form id=f target=f method=post action={url}></form>"
    with another_site(f"<body>{form}") as site:
        browser.open(site)
        browser.wait_for("document.querySelector('form') !== null")
        script = (
            f"fetch({json.dumps(url)}, {{method: 'POST', mode: 'no-cors', credentials: 'include'}})"
        )
        browser.evaluate(f"{script}.then(() => 'sent')")
        browser.evaluate("document.querySelector('form').submit()")
        browser.evaluate("new Promise((done) => setTimeout(done, 500))")
        assert browser.requests.count(url) == 2
        assert set(uploads.glob("*")) == before
        # The page itself is not to be put into another one's frame, where clicks can be stolen.
        browser.evaluate(f"document.querySelector('iframe').src = 'http://{place}/'")
        browser.evaluate("new Promise((done) => setTimeout(done, 500))")
    assert [x for x in browser.problems if "403" in x or "frame-ancestors" in x]
