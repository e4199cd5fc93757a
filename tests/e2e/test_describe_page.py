"""The page that describes pictures, in a browser."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from tests import makers
from tests.support.web import FreshWeb, WebServer, axe_findings


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Pictures to choose, by what they are."""
    made = {
        "one.jpg": makers.photo(200, 150, 1), "two.png": makers.photo(100, 200, 2, format="PNG"),
        "notes.txt": b"no picture", "zero.jpg": b"", "<i>x<img src=y onerror=alert(1)>.jpg":
        makers.photo(90, 90, 3), "cut.jpg": makers.photo(300, 300, 4)[:4000],
    }  # fmt: skip
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    return {name: tmp_path / name for name in made}


def choose(page: Page, *paths: Path) -> None:
    page.locator("#files").set_input_files([str(path) for path in paths])


def opened(page: Page, web: WebServer) -> None:
    page.goto(f"{web.url}/describe")
    expect(page.locator("#model")).to_be_enabled(timeout=120_000)


def test_several_pictures_each_with_its_description_or_reason(
    web: WebServer, page: Page, files: dict[str, Path]
) -> None:
    web.let_in(page.context, web.account("viewer"))
    opened(page, web)
    expect(page.locator("#answers")).to_be_hidden()
    choose(page, *files.values())
    rows = page.locator("#list > li")
    expect(rows).to_have_count(6)
    expect(page.locator("#said")).to_have_text("3 of 6 pictures described.", timeout=60_000)
    for name, words in (
        ("one.jpg", r"\w+.*\."), ("two.png", r"\w+.*\."), ("notes.txt", "not a picture"),
        ("zero.jpg", "empty"), ("<i>x<img", r"\w+.*\."), ("cut.jpg", "corrupt"),
    ):  # fmt: skip
        row = rows.filter(has=page.locator("h3", has_text=name))
        expect(row).to_have_count(1)
        expect(row).to_contain_text(re.compile(words))
    made = page.get_by_text("Made from measured facts (FACTS)")
    expect(made.locator("visible=true")).to_have_count(3)
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    expect(page.locator("#allowance")).to_be_empty()


def test_dropping_and_pasting(web: WebServer, page: Page) -> None:
    web.let_in(page.context, web.account("viewer"))
    opened(page, web)
    data = base64.b64encode(makers.photo(80, 60, 5)).decode()
    make = """([kind, data]) => {
      const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], `${kind}.jpg`, { type: "image/jpeg" }));
      const event = kind === "drop"
        ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
        : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
      document.getElementById("drop").dispatchEvent(event);
      return event.defaultPrevented;
    }"""
    assert page.evaluate(make, ["drop", data]) is True
    page.evaluate(make, ["paste", data])
    expect(page.locator("#list > li")).to_have_count(2)
    expect(page.locator('[data-part="text"]:visible')).to_have_count(2, timeout=60_000)


def test_a_visitor_sees_what_is_left_and_what_to_do(
    fresh_web: FreshWeb, page: Page, files: dict[str, Path]
) -> None:
    web = fresh_web()
    opened(page, web)
    left = page.locator("#allowance")
    expect(left).to_contain_text("3 of 3 descriptions left")
    choose(page, *[files["one.jpg"]] * 2)
    expect(left).to_contain_text("1 of 3 descriptions left", timeout=60_000)
    choose(page, *[files["two.png"]] * 2)
    expect(left).to_contain_text(re.compile(r"free in (59|60) min"), timeout=60_000)
    refused = page.locator("#list > li").filter(has_text="without an account")
    expect(refused).to_have_count(1)
    expect(refused.get_by_role("button", name="Try again")).to_be_visible()
    left.get_by_role("link", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/sign-in\?next=%2Fdescribe$"))


def test_copy_again_and_clear_by_keyboard(
    web: WebServer, page: Page, files: dict[str, Path]
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    web.let_in(page.context, web.account("viewer"))
    opened(page, web)
    page.route("**/vision/process-image", lambda route: route.abort(), times=1)
    choose(page, files["one.jpg"])
    expect(page.get_by_text("The server cannot be reached.")).to_be_visible()
    again = page.get_by_role("button", name="Try again")
    again.focus()
    page.keyboard.press("Enter")
    text = page.locator('[data-part="text"]:visible')
    expect(text).to_have_count(1, timeout=60_000)
    copy = page.get_by_role("button", name="Copy")
    copy.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("() => navigator.clipboard.readText()") == text.text_content()
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#answers")).to_be_hidden()
    expect(page.locator("#files")).to_be_focused()


def test_at_most_two_are_sent_at_once(web: WebServer, page: Page, files: dict[str, Path]) -> None:
    web.let_in(page.context, web.account("viewer"))
    opened(page, web)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/vision/process-image", hold)
    choose(page, *[files["one.jpg"], files["two.png"]] * 3)
    for sent in range(2, 7):
        while len(held) < sent:
            page.wait_for_timeout(20)
        page.wait_for_timeout(100)  # time enough for a third, if there were one
        assert len(held) == sent
        held[sent - 2].continue_()
        expect(page.locator('[data-part="text"]:visible')).to_have_count(sent - 1, timeout=60_000)
    held[5].continue_()
    expect(page.locator("#said")).to_have_text("6 of 6 pictures described.", timeout=60_000)


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1600)])
def test_nothing_stands_in_the_way_of_anybody(
    web: WebServer, page: Page, files: dict[str, Path], scheme: str, width: int
) -> None:
    web.let_in(page.context, web.account("viewer"))
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 900})
    opened(page, web)
    choose(page, files["one.jpg"], files["notes.txt"])
    expect(page.locator("#said")).to_have_text("1 of 2 pictures described.", timeout=60_000)
    assert axe_findings(page) == []
    wide = page.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= width
