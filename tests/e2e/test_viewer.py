"""The viewer, and boxes around faces, while answers come late, come in pieces or fail."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Request, Route, expect
from tests.support.web import WebServer

FACE = {"id": 1, "stage": "faces", "x": 10, "y": 10, "width": 40, "height": 40, "score": 0.9}
TILES = re.compile(r"/pictures\?")
FACES = re.compile(r"/faces\?images=")
BLOCK = 200


@pytest.fixture
def gallery(web: WebServer, scanned: str, page: Page) -> str:
    """Address of the gallery of all pictures; the page is the administrator's."""
    web.let_in(page.context, web.administrator)
    return f"{web.url}/jobs/{scanned}/gallery"


@pytest.fixture
def faces(gallery: str, page: Page) -> str:
    """The same, where one face was found in every picture."""

    def with_faces(route: Route) -> None:
        answer = route.fetch()
        found = answer.json()
        for picture in found["pictures"]:
            picture["faces"] = 1
        route.fulfill(response=answer, json=found)

    page.route(TILES, with_faces)
    return gallery


def path_of(page: Page, index: int) -> str:
    return page.locator(f".tile[data-index='{index}']").get_attribute("title") or "?"


def ids_in(request: Request) -> list[str]:
    return parse_qs(urlsplit(request.url).query)["images"][0].split(",")


class Held(list[Route]):
    """Requests that wait for their answer."""

    def hold(self, route: Route) -> None:
        self.append(route)


def settle(page: Page) -> None:
    """Let the page take in what was answered before."""
    page.evaluate("() => fetch('/health').then(answer => answer.text())")
    page.evaluate("() => new Promise(requestAnimationFrame)")


def open_first(page: Page, address: str) -> None:
    page.goto(address)
    page.locator(".tile[title]").first.dblclick()
    expect(page.locator("#viewer")).to_be_visible()
    expect(page.locator("#viewer .name")).to_have_text(path_of(page, 0))


def test_arrow_keys_go_on_and_on(page: Page, gallery: str) -> None:
    open_first(page, gallery)
    name = page.locator("#viewer .name")
    for index in (1, 2, 3):
        page.keyboard.press("ArrowRight")
        expect(name).to_have_text(path_of(page, index))
    button = page.get_by_role("button", name="The next one")
    button.click()
    expect(name).to_have_text(path_of(page, 4))
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(name).to_have_text(path_of(page, 5))
    page.locator("#viewer .stage").click()
    page.keyboard.press("ArrowLeft")
    expect(name).to_have_text(path_of(page, 4))
    expect(page.locator("#viewer img")).to_have_attribute("alt", path_of(page, 4))


def test_what_was_left_does_not_spoil_what_is_shown(page: Page, gallery: str) -> None:
    held = Held()
    page.goto(gallery)
    first = page.locator(".tile[title]").first
    page.route(f"**/pictures/{first.get_attribute('data-id')}/view*2560", held.hold)
    first.dblclick()
    expect(page.locator("#viewer")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer .name")).to_have_text(path_of(page, 1))
    held[0].abort()
    settle(page)
    expect(page.locator("#viewer img")).to_have_attribute("alt", path_of(page, 1))


def test_the_selected_picture_is_shown_before_its_faces_are_known(page: Page, faces: str) -> None:
    held = Held()
    page.route(FACES, held.hold)
    open_first(page, f"{faces}?faces=1")
    for index in (1, 2):
        page.keyboard.press("ArrowRight")
        expect(page.locator("#viewer .name")).to_have_text(path_of(page, index))
    expect(page.locator(".tile[aria-selected=true]")).to_have_attribute("data-index", "2")
    for route in held:
        route.fulfill(json={one: [FACE] for one in ids_in(route.request)})
    expect(page.locator("#viewer .face")).to_have_count(1)
    expect(page.locator("#viewer .name")).to_have_text(path_of(page, 2))


def test_a_late_answer_does_not_open_the_viewer_again(page: Page, faces: str) -> None:
    held = Held()
    page.route(FACES, lambda route: route.fulfill(json={}))
    open_first(page, faces)
    page.route(FACES, held.hold)
    with page.expect_request(FACES):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    held[0].fulfill(json={})
    settle(page)
    expect(page.locator("#viewer")).to_be_hidden()


def test_without_an_answer_about_faces_the_picture_is_shown(page: Page, faces: str) -> None:
    page.route(FACES, lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    open_first(page, faces)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer .name")).to_have_text(path_of(page, 1))


def tile(number: int) -> dict[str, Any]:
    return {
        "id": number + 1, "sha256": "0" * 64, "path": f"{number}.jpg", "size": 1, "faces": 1,
        "state": "picture", "mime": "image/jpeg", "format": "JPEG", "width": 100, "height": 100,
        "captured_at": None, "copies": 1, "problem": False, "thumbnail": False,
    }  # fmt: skip


def four_blocks(route: Route) -> None:
    """A page of 800 pictures; the cursor is the number of the block."""
    block = int(parse_qs(urlsplit(route.request.url).query).get("after", ["0"])[0])
    pictures = [tile(number) for number in range(block * BLOCK, (block + 1) * BLOCK)]
    after = str(block + 1) if block < 3 else None
    route.fulfill(json={"pictures": pictures, "next": after, "previous": None})


def test_faces_of_more_pictures_than_one_request_takes(page: Page, gallery: str) -> None:
    asked: list[int] = []

    def answer(route: Route) -> None:
        ids = ids_in(route.request)
        asked.append(len(ids))
        if len(ids) > 500:
            route.fulfill(status=400, json={"error": {"code": "usage", "message": "too many"}})
        else:
            route.fulfill(json={one: [FACE] for one in ids})

    page.route(TILES, four_blocks)
    count = {"number": 800, "exact": True}
    page.route(re.compile("/pictures/count"), lambda route: route.fulfill(json=count))
    marks = {"every": BLOCK, "cursors": ["1", "2", "3"], "total": 800}
    page.route(re.compile("/pictures/landmarks"), lambda route: route.fulfill(json=marks))
    page.route(FACES, answer)
    page.set_viewport_size({"width": 2800, "height": 2000})
    page.goto(gallery)
    page.locator("#tile-size").fill("90")
    expect(page.locator(".tile[data-index='550'][title]")).to_be_attached()
    expect(page.locator(".tile:not([title])")).to_have_count(0)
    page.locator("#faces-button").click()
    expect(page.locator(".tile .face")).to_have_count(page.locator(".tile").count())
    assert max(asked) <= 200
