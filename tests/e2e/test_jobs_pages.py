"""Jobs in a real browser: made by browsing, watched, mended, deleted."""

from __future__ import annotations

import re

from playwright.sync_api import Dialog, Page, expect
from tests.support.web import WebServer


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
