"""Where maps and timelines lead, a tile server that was configured, times in the viewer's zone."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, expect
from tests import makers
from tests.support.web import WebServer

TILE = makers.photo(256, 256, 1, format="PNG")


class Tiles:
    """A tile server on this machine, and what it was asked for."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/{{z}}/{{x}}/{{y}}.png"
        self.asked: list[str] = []
        self.referrers: set[str | None] = set()


@pytest.fixture
def tiles() -> Iterator[Tiles]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            made.asked.append(self.path)
            made.referrers.add(self.headers.get("referer"))
            self.send_response(200)
            self.send_header("content-type", "image/png")
            self.send_header("content-length", str(len(TILE)))
            self.end_headers()
            self.wfile.write(TILE)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Tiles(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def test_maps_ask_the_tile_server_that_was_configured(
    fresh_web: Callable[..., WebServer], page: Page, tiles: Tiles
) -> None:
    web = fresh_web(tile_url=tiles.url)
    owner = web.account("examiner")
    job = web.job(owner, "Holidays", stages=["exif", "place"], run=True)
    web.let_in(page.context, owner)
    faults: list[str] = []
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.goto(f"{web.url}/jobs/{job}/map")
    expect(page.locator("img.leaflet-tile-loaded").first).to_be_visible()
    expect(page.locator("#map-count")).not_to_be_empty()
    assert tiles.asked
    assert all(re.fullmatch(r"/\d+/-?\d+/-?\d+\.png", path) for path in tiles.asked)
    assert tiles.referrers == {None}, "the tile server learns which page it was"
    assert faults == []


def test_without_one_nobody_else_is_asked(
    web: WebServer, scanned: str, page: Page, tiles: Tiles
) -> None:
    web.let_in(page.context, web.administrator)
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.goto(f"{web.url}/jobs/{scanned}/map")
    expect(page.locator("#map-count")).not_to_be_empty()
    assert hosts == {web.url.split("/")[2]}
    assert page.locator("img.leaflet-tile").count() == 0
    assert tiles.asked == []


@pytest.mark.parametrize(
    ("zone", "hours"), [("Pacific/Kiritimati", 14), ("America/Phoenix", -7), ("UTC", 0)]
)
def test_times_are_in_the_viewers_zone_with_utc_on_hover(
    web: WebServer, scanned: str, browser: Browser, zone: str, hours: int
) -> None:
    with browser.new_context(locale="en-GB", timezone_id=zone) as context:
        web.let_in(context, web.administrator)
        page = context.new_page()
        page.goto(f"{web.url}/account")
        shown = page.locator("time[data-local]").first
        expect(shown).to_be_visible()
        title = shown.get_attribute("title") or ""
        at = datetime.fromisoformat(shown.get_attribute("datetime") or "")
        assert title == at.strftime("%Y-%m-%d %H:%M:%S UTC")
        there = datetime.fromtimestamp(at.timestamp() + 3600 * hours, at.tzinfo)
        words = f"{there.day} {there.strftime('%b')} {there.year}, {there.strftime('%H:%M')}"
        expect(shown).to_have_text(words.replace("Sep ", "Sept "))


def test_the_map_leads_to_the_gallery(page: Page, web: WebServer, scanned: str) -> None:
    web.let_in(page.context, web.administrator)
    page.goto(f"{web.url}/jobs/{scanned}/map")
    expect(page.locator("#map-count")).to_contain_text("2 pictures")
    expect(page.locator(".cluster")).not_to_have_count(0)
    page.get_by_role("link", name="Show these pictures").click()
    expect(page.locator("#count")).to_have_text("2 pictures")
    expect(page.get_by_text("on this part of the map")).to_be_visible()


def test_the_timeline_leads_to_the_gallery(page: Page, web: WebServer, scanned: str) -> None:
    web.let_in(page.context, web.administrator)
    page.goto(f"{web.url}/jobs/{scanned}/timeline")
    page.get_by_role("button", name="2016-07: 1 picture").click()
    page.get_by_role("link", name="Show 1 picture of 2016-07").click()
    expect(page.locator("#count")).to_have_text("1 picture")
