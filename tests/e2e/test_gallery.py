"""The gallery, the map and the timeline in a real browser."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text
from tests.makers.photos import jpeg_with_exif, photo
from tests.support.web import WebServer, axe_findings


@pytest.fixture
def gallery(web: WebServer, scanned: str, page: Page) -> str:
    """Address of the gallery of all pictures; the page is the administrator's."""
    web.let_in(page.context, web.administrator)
    return f"{web.url}/jobs/{scanned}/gallery"


@pytest.fixture(scope="module")
def large(web: WebServer, scanned: str) -> Iterator[str]:
    """Address of the gallery of two pictures that are larger than any window, one odd camera."""
    assert scanned, "the job over all pictures must not find these"
    folder = web.sources / "Large"
    folder.mkdir()
    tags = {"Make": "NIKON CORPORATION", "Model": "NIKON D750"}
    try:
        (folder / "tall.jpg").write_bytes(photo(1920, 2560, 31))
        (folder / "wide.jpg").write_bytes(photo(2560, 960, 32))
        (folder / "old.jpg").write_bytes(
            jpeg_with_exif((64, 48), 33, DateTimeOriginal="2009:12:30 10:00:00", **tags)
        )
        (folder / "new.jpg").write_bytes(
            jpeg_with_exif((64, 48), 34, DateTimeOriginal="2016:07:02 10:00:00", **tags)
        )
        (folder / "cut.jpg").write_bytes(photo(640, 480, 6)[:9000])
        stages = ["exif", "similar", "facts"]
        job = web.job(web.administrator, "Large", name="Large", stages=stages, run=True)
        yield f"{web.url}/jobs/{job}/gallery"
    finally:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


@pytest.fixture(autouse=True)
def _let_in(request: pytest.FixtureRequest, web: WebServer, page: Page) -> None:
    if "large" in request.fixturenames:
        web.let_in(page.context, web.administrator)


def test_the_panes_say_it_plainly(page: Page, large: str) -> None:
    page.goto(f"{large}?q=old")
    page.locator(".tile").first.click()
    panel = page.locator("#panel")
    expect(panel.get_by_text("NIKON D750", exact=True)).to_be_visible()
    expect(panel).to_contain_text("2009-12-30 10:00:00 by the camera's clock")
    page.set_viewport_size({"width": 390, "height": 780})
    origins = panel.get_by_text("Where this is from")
    origins.focus()
    page.keyboard.press("Enter")
    expect(panel.locator(".origins")).to_contain_text("Metadata, version")
    expect(panel.locator(".origins")).to_contain_text("found by the scan")
    assert axe_findings(page) == []
    page.goto(f"{large}?q=cut")
    page.locator(".tile").first.click()
    expect(panel.locator("dt").first).to_have_text("State")


def test_a_range_of_days_is_not_the_wrong_way_round(page: Page, large: str) -> None:
    page.goto(large)
    page.get_by_role("button", name="Filters").click()
    page.locator("#from").fill("2016-01-01")
    expect(page.locator("#count")).to_have_text("1 picture")
    expect(page.locator("#until")).to_have_attribute("min", "2016-01-01")
    page.locator("#until").fill("2015-01-01")
    expect(page.locator("#search")).to_have_value("date:2016-01-01..")
    page.locator("#until").fill("2017-01-01")
    expect(page.locator("#search")).to_have_value("date:2016-01-01..2017-01-01")
    expect(page.locator("#from")).to_have_attribute("max", "2017-01-01")


def test_days_that_are_left_out_are_said(page: Page, large: str) -> None:
    page.set_viewport_size({"width": 390, "height": 780})
    page.goto(large.replace("/gallery", "/timeline"))
    expect(page.locator("#ends")).to_contain_text("scroll the chart sideways")
    page.locator("#unit").select_option("day")
    expect(page.locator("#ends")).to_contain_text("days without pictures are left out")
    expect(page.locator(".year:visible")).to_have_text(["2009", "2016"])


def test_a_year_that_has_just_begun_keeps_its_number(page: Page, large: str) -> None:
    page.set_viewport_size({"width": 390, "height": 780})
    months = ["2015-12", *(f"2016-{month:02}" for month in range(1, 13)), "2017-01", "2020-01"]
    found = {"buckets": [{"start": one, "count": 1} for one in months], "next": None}
    page.route("**/pictures/timeline?*", lambda route: route.fulfill(json=found))
    page.goto(large.replace("/gallery", "/timeline"))
    years = page.locator(".year:visible")
    expect(years).to_have_text(["2015", "2016", "2017", "2020"])
    boxes = [year.bounding_box() for year in years.all()]
    lefts = [box["x"] for box in boxes if box]
    assert all(after - before >= 35 for before, after in itertools.pairwise(lefts))


def tiles(page: Page) -> Iterator[str]:
    expect(page.locator("#count")).not_to_be_empty()
    for tile in page.locator(".tile").all():
        yield (tile.get_attribute("aria-label") or "").split(",")[0]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("camera:nikon", {"Holidays/boat.jpg"}),
        ("place:stockholm", {"Holidays/lake.jpg"}),
        ("date:2017", {"Holidays/lake.jpg"}),
        ("boat", {"Holidays/boat.jpg"}),
        ("is:duplicate", {"Holidays/boat.jpg"}),
        ("format:webp", {"Office/map.webp"}),
        ("lake OR map", {"Holidays/lake.jpg", "Office/map.webp"}),
    ],
)
def test_pictures_are_found_by_what_they_are(
    page: Page, gallery: str, query: str, found: set[str]
) -> None:
    page.goto(gallery)
    page.keyboard.press("/")
    page.keyboard.type(query)
    page.keyboard.press("Enter")
    count = f"{len(found)} picture{'' if len(found) == 1 else 's'}"
    expect(page.locator("#count")).to_have_text(count)
    if query != "is:duplicate":  # the first of two paths may be either
        assert {name.replace("copy of ", "") for name in tiles(page)} == found
    page.go_back()
    expect(page.locator("#count")).not_to_have_text(count)


def test_a_search_that_cannot_be_read_is_explained(page: Page, gallery: str) -> None:
    page.goto(f'{gallery}?q="red')
    expect(page.locator("#search-error")).to_contain_text("quotation mark")


def test_nothing_found_says_what_to_do(page: Page, gallery: str) -> None:
    page.goto(f"{gallery}?q=zeppelin")
    expect(page.get_by_text("No picture fits this search")).to_be_visible()
    page.get_by_role("link", name="Show all pictures").click()
    expect(page.locator(".tile").first).to_be_visible()


def test_filters_write_the_search_and_chips_take_it_away(page: Page, gallery: str) -> None:
    page.goto(gallery)
    page.get_by_role("button", name="Filters").click()
    camera = page.locator("select[data-field=camera]")
    expect(camera.locator("option")).not_to_have_count(1)
    camera.select_option(index=1)
    expect(page.locator(".chip")).to_have_count(1)
    expect(page).to_have_url(re.compile("q=camera"))
    page.locator("select[data-field=faces]").select_option("0")
    expect(page.locator(".chip")).to_have_count(2)
    page.locator(".chip button").first.click()
    expect(page.locator(".chip")).to_have_count(1)


def test_a_link_to_a_picture_opens_its_panes(page: Page, gallery: str) -> None:
    page.goto(f"{gallery}?q=boat")
    page.locator(".tile").first.click()
    panel = page.locator("#panel")
    expect(panel.get_by_text("SHA-256", exact=True)).to_be_visible()
    expect(panel).to_contain_text("At 2 paths")
    expect(panel).to_contain_text("by FACTS, from measured facts")
    address = page.url
    assert "picture=" in address
    page.goto("about:blank")
    page.goto(address)
    expect(panel.get_by_role("tab", name="Info")).to_be_visible()
    panel.get_by_role("tab", name="Metadata").click()
    expect(panel).to_contain_text("NIKON D90")
    panel.get_by_label("Search in the metadata").fill("no such tag")
    expect(panel.get_by_text("NIKON D90")).to_be_hidden()
    panel.get_by_role("tab", name="Location").click()
    expect(panel).to_contain_text("45.92")
    expect(panel.locator(".leaflet-container")).to_be_visible()
    panel.get_by_role("tab", name="Stages").click()
    expect(panel).to_contain_text("version")


def test_the_keyboard_does_it_all(page: Page, gallery: str) -> None:
    page.goto(gallery)
    expect(page.locator(".tile").first).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".tile[aria-selected=true]")).to_have_attribute("data-index", "0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("i")
    expect(page.locator("#panel")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    page.keyboard.press("End")
    expect(page.locator(".tile[aria-selected=true]")).to_be_visible()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    viewer = page.locator("#viewer")
    expect(viewer.locator("img")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("+")
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keys and search")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    expect(page.locator("#faces-button")).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url(re.compile("faces=1"))


def test_back_closes_the_panes_and_forward_opens_them(page: Page, gallery: str) -> None:
    page.goto(gallery)
    page.locator(".tile").first.click()
    panel = page.locator("#panel")
    expect(panel.get_by_text("SHA-256", exact=True)).to_be_visible()
    page.keyboard.press("ArrowRight")  # moving on is no step of its own
    expect(page.locator(".tile[aria-selected=true]")).to_have_attribute("data-index", "1")
    expect(page).to_have_url(re.compile("picture="))
    second = page.url
    page.go_back()
    expect(panel).to_be_hidden()
    expect(page).to_have_url(gallery)
    page.go_forward()
    expect(panel.get_by_text("SHA-256", exact=True)).to_be_visible()
    expect(page).to_have_url(second)


def test_a_picture_outside_the_search_is_shown_too(page: Page, gallery: str) -> None:
    page.goto(f"{gallery}?q=lake")
    expect(page.locator("#count")).to_have_text("1 picture")
    lake = page.locator(".tile").first.get_attribute("data-id")
    page.goto(f"{gallery}?q=boat&picture={lake}")
    expect(page.locator("#panel h2")).to_have_text("lake.jpg")
    expect(page.locator(".tile[aria-selected=true]")).to_have_count(0)
    page.goto(f"{gallery}?picture=99999999")
    expect(page.locator("#panel [role=alert]")).to_contain_text("no picture 99999999")


def test_a_menu_leaves_alone_what_was_typed(page: Page, gallery: str) -> None:
    page.goto(f"{gallery}?q=camera%3Anik* lake OR boat")
    expect(page.locator(".chip")).to_have_count(2)
    page.get_by_role("button", name="Filters").click()
    page.locator("select[data-field=faces]").select_option("0")
    expect(page.locator("#search")).to_have_value("camera:nik* lake OR boat faces:0")
    page.get_by_role("button", name="Take away lake OR boat").click()
    expect(page.locator("#search")).to_have_value("camera:nik* faces:0")
    page.locator("#from").fill("2016-01-01")
    expect(page.locator("#search")).to_have_value("camera:nik* faces:0 date:2016-01-01..")
    expect(page.locator("#count")).to_have_text("1 picture")


def test_on_a_phone_the_panes_cover_the_grid(page: Page, gallery: str) -> None:
    page.set_viewport_size({"width": 390, "height": 780})
    page.goto(gallery)
    page.locator(".tile").first.click()
    panel = page.locator("#panel")
    expect(panel.get_by_text("SHA-256", exact=True)).to_be_visible()
    box = panel.bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (0, 390)
    panel.get_by_role("tab", name="Info").focus()
    page.keyboard.press("ArrowLeft")
    expect(panel.get_by_role("tab", name="Stages")).to_be_focused()
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_one_click_changes_the_theme_once(page: Page, gallery: str) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(gallery)
    expect(page.locator(".tile").first).to_be_visible()
    page.locator("#theme").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")


def test_the_viewer_zooms_and_goes_on(page: Page, gallery: str) -> None:
    page.goto(gallery)
    page.locator(".tile").first.dblclick()
    image = page.locator("#viewer img")
    expect(image).to_have_js_property("complete", value=True)
    expect(page.locator("#viewer .holder")).to_have_attribute("style", re.compile("scale"))
    before = image.bounding_box()
    page.keyboard.press("+")
    after = image.bounding_box()
    assert before is not None
    assert after is not None
    assert after["width"] > before["width"]
    name = image.get_attribute("alt")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer img")).not_to_have_attribute("alt", name or "")
    page.keyboard.press("Escape")
    expect(page.locator(".tile[aria-selected=true]")).to_be_focused()


@pytest.mark.parametrize("size", [(390, 780), (820, 1000), (1440, 900)])
def test_the_viewer_shows_large_pictures_whole(
    page: Page, large: str, size: tuple[int, int]
) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for name in ("tall", "wide"):
        page.goto(f"{large}?q={name}")
        expect(page.locator("#count")).to_have_text("1 picture")
        page.locator(".tile").first.dblclick()
        expect(page.locator("#viewer .holder")).to_have_attribute("style", re.compile("scale"))
        image = page.locator("#viewer img").bounding_box()
        stage = page.locator("#viewer .stage").bounding_box()
        bar = page.locator("#viewer .bar").bounding_box()
        assert image
        assert stage
        assert bar
        assert stage["y"] >= bar["y"] + bar["height"]
        assert stage["x"] == 0
        assert stage["y"] + stage["height"] == size[1]
        spare = []
        for at, side in (("x", "width"), ("y", "height")):
            before = image[at] - stage[at]  # type: ignore[literal-required]
            after = stage[side] - image[side] - before  # type: ignore[literal-required]
            assert before >= -0.5
            assert after == pytest.approx(before, abs=1)
            spare.append(before)
        assert min(spare) == pytest.approx(0, abs=0.5)


def test_the_size_of_tiles_is_remembered(page: Page, gallery: str) -> None:
    page.goto(gallery)
    page.locator("#tile-size").fill("300")
    width = page.locator(".tile").first.bounding_box()
    page.reload()
    expect(page.locator(".tile").first).to_be_visible()
    again = page.locator(".tile").first.bounding_box()
    assert width is not None
    assert again is not None
    assert again["width"] == width["width"] >= 300


def test_a_grid_of_thousands_holds_only_what_is_in_sight(
    page: Page, web: WebServer, tmp_path: Path
) -> None:
    folder = web.sources / "Thousands"
    folder.mkdir()
    owner = web.account("examiner")
    small = photo(24, 16, 1)
    try:
        for number in range(1500):
            (folder / f"{number:04}.jpg").write_bytes(small + b"%d" % number)
        job = web.job(owner, "Thousands", stages=["similar"], run=True)
    finally:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    with web.services.catalog.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM tiles")) >= 1500
    web.let_in(page.context, owner)
    page.goto(f"{web.url}/jobs/{job}/gallery")
    expect(page.locator("#count")).to_have_text("1,500 pictures")
    expect(page.locator(".tile").first).to_have_attribute("title", "0000.jpg")
    assert page.locator(".tile").count() < 200
    page.locator("#grid").evaluate("grid => { grid.scrollTop = grid.scrollHeight; }")
    expect(page.locator(".tile[data-index='1499']")).to_have_attribute("title", "1499.jpg")
    assert page.locator(".tile").count() < 200
    page.locator("#grid").evaluate("grid => { grid.scrollTop = grid.scrollHeight / 2; }")
    expect(page.locator(".tile[title='0750.jpg']")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path", ["", "/gallery", "/gallery?picture=1", "/map", "/timeline", "/problems"]
)
def test_no_serious_finding_of_accessibility(
    page: Page, web: WebServer, scanned: str, path: str, scheme: str
) -> None:
    web.let_in(page.context, web.administrator)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{web.url}/jobs/{scanned}{path}")
    if path.startswith(("/gallery", "/map")):
        page.wait_for_load_state("networkidle")
    assert axe_findings(page) == []
