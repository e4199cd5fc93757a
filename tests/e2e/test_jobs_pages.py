"""Jobs in a real browser: made by browsing, watched, mended, deleted."""

from __future__ import annotations

import json
import re
from html import escape, unescape

import pytest
from playwright.sync_api import Dialog, Page, Route, expect
from tests.support.web import Person, WebServer, axe_findings


def test_a_job_is_made_by_browsing_and_watched_to_its_end(web: WebServer, page: Page) -> None:
    web.let_in(page.context, web.account("examiner"))
    page.goto(f"{web.url}/jobs")
    expect(page.get_by_text("No jobs yet")).to_be_visible()
    page.get_by_role("link", name="Make the first job").click()
    page.get_by_role("button", name="Many").click()
    expect(page.get_by_text("24 files")).to_be_visible()
    expect(page.get_by_role("textbox", name="Name")).to_have_value("Many")
    page.get_by_role("button", name="Make and start").click()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    expect(page.locator("#status")).to_have_text(re.compile("complete"), timeout=60_000)
    expect(page.locator("[data-stage=exif] [data-words]")).to_have_text("24 of 24")
    page.reload()
    expect(page.locator("#summary")).to_contain_text("24 files")
    expect(page.get_by_role("heading", name="Many")).to_be_visible()


def test_problems_are_filtered_and_tried_again(web: WebServer, page: Page) -> None:
    owner = web.account("examiner")
    job = web.job(owner, "Broken", run=True)
    web.let_in(page.context, owner)
    page.goto(f"{web.url}/jobs/{job}")
    page.get_by_role("link", name="Problems").click()
    expect(page.get_by_role("row", name="cut.jpg").first).to_be_visible()
    page.get_by_label("Words in path or reason").fill("nothing like it")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("No problem fits this filter")).to_be_visible()
    page.get_by_role("link", name="Show all problems").click()
    expect(page.get_by_role("row", name="cut.jpg").first).to_be_visible()


def test_a_job_is_shared_and_the_other_sees_it(web: WebServer, page: Page) -> None:
    owner, friend = web.account("examiner"), web.account("viewer")
    job = web.job(owner, "Office", name="Papers", run=True)
    web.let_in(page.context, owner)
    page.goto(f"{web.url}/jobs/{job}")
    page.get_by_label("E-mail address").fill(friend.email)
    page.get_by_role("button", name="Share", exact=True).click()
    expect(page.locator("#shares")).to_contain_text(friend.email)
    page.context.clear_cookies()
    web.let_in(page.context, friend)
    page.goto(f"{web.url}/jobs")
    expect(page.get_by_role("link", name="Papers")).to_be_visible()
    expect(page.get_by_text("shared with you")).to_be_visible()
    page.get_by_role("link", name="Papers").click()
    expect(page.get_by_role("button", name="Scan again")).to_have_count(0)
    expect(page.get_by_text("Delete job")).to_have_count(0)


def test_deleting_asks_first_and_says_what_goes(web: WebServer, page: Page) -> None:
    owner = web.account("examiner")
    job = web.job(owner, "Office", name="Papers")
    web.let_in(page.context, owner)
    page.goto(f"{web.url}/jobs/{job}")
    said: list[str] = []

    def accept(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.accept()

    page.on("dialog", accept)
    page.get_by_text("Change or delete").click()
    page.get_by_role("button", name="Delete job").click()
    page.wait_for_url("**/jobs")
    assert "The folder of pictures itself is not touched" in said[0]
    expect(page.get_by_text("No jobs yet")).to_be_visible()


LONG = "Everything from the second cabinet"


@pytest.mark.parametrize("width", [390, 820, 1440])
def test_lists_are_read_in_words_at_any_width(web: WebServer, page: Page, width: int) -> None:
    owner = web.account("examiner")
    job = web.job(owner, "Broken", name=LONG, run=True)
    web.let_in(page.context, owner)
    page.set_viewport_size({"width": width, "height": 800})
    for path, words in (("/jobs", LONG), (f"/jobs/{job}/problems", "cut.jpg")):
        page.goto(f"{web.url}{path}")
        box = page.locator("td", has_text=words).first.bounding_box()
        assert box
        assert box["width"] >= 125
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.goto(f"{web.url}/jobs")
    said = page.get_by_text("complete, with problems").bounding_box()
    assert said
    assert (said["width"] > 100) == (width >= 768)
    assert axe_findings(page) == []


def test_an_empty_folder_is_told_from_a_job_that_was_not_started(
    web: WebServer, page: Page
) -> None:
    owner = web.account("examiner")
    folder = web.sources / "Nothing"
    folder.mkdir()
    try:
        web.let_in(page.context, owner)
        page.goto(f"{web.url}/jobs/new")
        page.get_by_role("button", name="Nothing").click()
        expect(page.get_by_text("This folder is empty.")).to_be_visible()
        expect(page.get_by_text("No folders below this one")).to_be_visible()
        job = web.job(owner, "Nothing")
        page.goto(f"{web.url}/jobs/{job}")
        expect(page.locator("#summary")).to_contain_text("Start the job to begin")
        web.run_job(job)
        page.goto(f"{web.url}/jobs/{job}")
        expect(page.locator("#status")).to_have_text("no pictures found")
        expect(page.locator("#summary")).to_have_text("The folder holds no pictures.")
        expect(page.get_by_role("button", name="Scan again")).to_be_visible()
        page.get_by_role("link", name="Gallery").click()
        nothing = page.locator("#nothing")
        expect(nothing).to_contain_text("The folder holds no pictures.")
        box = nothing.bounding_box()
        assert box
        assert box["width"] == page.evaluate("innerWidth")
    finally:
        folder.rmdir()


def test_the_counts_of_a_job(web: WebServer, page: Page) -> None:
    owner = web.account("examiner")
    job = web.job(owner, "Office", stages=["similar"], run=True)
    web.let_in(page.context, owner)

    def more_types(route: Route) -> None:
        answer = route.fetch()
        found = re.search("data-progress='(.*?)'", answer.text())
        assert found
        progress = json.loads(unescape(found[1]))
        types = [{"mime": f"image/x-{n}", "files": 1, "bytes": 1} for n in range(14)]
        counts = dict.fromkeys(progress["files"], 0)
        progress |= {"types": types, "files": counts | {"picture": 1}, "pictures": 1, "bytes": 1}
        html = answer.text().replace(found[1], escape(json.dumps(progress)))
        route.fulfill(response=answer, body=html)

    page.goto(f"{web.url}/jobs/{job}")
    expect(page.locator("[data-stage=similar] [data-note]")).to_have_text("3 done")
    page.route(f"**/jobs/{job}", more_types)
    page.route("**/events", lambda route: route.abort())
    page.goto(f"{web.url}/jobs/{job}")
    expect(page.locator("#summary")).to_have_text("1 file, 1 bytes; 1 different picture")
    expect(page.locator("#types tr")).to_have_count(14)
    expect(page.locator("#types tr").first).to_have_text("By type")
    expect(page.locator("#types tr").last).to_have_text("2 more types22 bytes")
    page.get_by_text("Change or delete").click()
    captions = page.get_by_role("checkbox", name="Captions")
    expect(captions).to_be_disabled()
    expect(page.locator("#edit")).to_contain_text("Not available here")
    assert axe_findings(page) == []


def test_progress_is_asked_for_again_after_an_answer_that_ends_it(
    web: WebServer, page: Page
) -> None:
    owner = web.account("examiner")
    job = web.job(owner, "Office", stages=["similar"], run=True)
    web.let_in(page.context, owner)
    asked = 0

    def answer(route: Route) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            route.fulfill(status=502, body="<h1>Bad gateway</h1>")
        elif asked == 2:
            now = json.loads(page.locator("#job").get_attribute("data-progress") or "")
            data = json.dumps(now | {"words": "news has come"})
            headers = {"content-type": "text/event-stream"}
            route.fulfill(headers=headers, body=f"event: progress\ndata: {data}\n\n")

    page.route("**/events", answer)
    page.goto(f"{web.url}/jobs/{job}")
    expect(page.locator("#status")).to_have_text("news has come")


def test_a_page_that_comes_back_asks_for_progress_and_one_that_is_left_does_not(
    web: WebServer, page: Page
) -> None:
    owner = web.account("examiner")
    job = web.job(owner, "Office", stages=["similar"], run=True)
    web.let_in(page.context, owner)
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if one.url.endswith("/events") else None)
    page.route("**/events", lambda route: route.fulfill(status=502))
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    with page.expect_response("**/events"):
        page.goto(f"{web.url}/jobs/{job}")
    page.evaluate("() => dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    page.clock.run_for(60_000)
    assert len(asked) == 1
    with page.expect_request("**/events"):
        page.evaluate("() => dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")


def _new_job(web: WebServer, page: Page) -> Person:
    owner = web.account("examiner")
    web.let_in(page.context, owner)
    page.goto(f"{web.url}/jobs/new")
    page.get_by_role("button", name="Office").click()
    expect(page.get_by_role("textbox", name="Name")).to_have_value("Office")
    return owner


def _jobs_of(web: WebServer, owner: Person) -> int:
    return len(web.client(owner).get("/api/v1/jobs").json())


def test_a_double_click_makes_one_job(web: WebServer, page: Page) -> None:
    owner = _new_job(web, page)
    posted: list[Route] = []

    def hold(route: Route) -> None:
        posted.append(route)

    page.route("**/api/v1/jobs", hold)
    make = page.get_by_role("button", name="Make", exact=True)
    with page.expect_request("**/api/v1/jobs"):
        make.dblclick()
    expect(make).to_be_disabled()
    for route in posted:
        route.continue_()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    assert (len(posted), _jobs_of(web, owner)) == (1, 1)


def test_a_job_that_was_not_started_is_made_once(web: WebServer, page: Page) -> None:
    owner = _new_job(web, page)
    refused = {"error": {"code": "busy", "message": "the queue is away"}}
    page.route("**/start", lambda route: route.fulfill(status=503, json=refused))
    page.get_by_role("button", name="Make and start").click()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    said = "The job is made, but not started. the queue is away"
    expect(page.locator("#notices")).to_have_text(said)
    page.unroute("**/start")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#status")).to_have_text(re.compile("complete"), timeout=60_000)
    expect(page.locator("#notices")).to_be_empty()
    assert _jobs_of(web, owner) == 1


def test_a_page_of_a_proxy_is_told_by_its_status(web: WebServer, page: Page) -> None:
    owner = _new_job(web, page)
    html = "<!doctype html><h1>Gateway timeout</h1>"
    page.route("**/api/v1/jobs", lambda route: route.fulfill(status=504, body=html))
    make = page.get_by_role("button", name="Make", exact=True)
    make.click()
    expect(page.locator("#notices")).to_have_text("The server answered 504.")
    expect(make).to_be_enabled()
    expect(make).to_be_focused()
    assert _jobs_of(web, owner) == 0
