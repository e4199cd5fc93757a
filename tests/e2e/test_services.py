"""The main path of an examiner, in a browser over the system as services."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.support.services import ServicesWeb, services_web
from tests.support.web import PASSWORD, axe_findings


@pytest.fixture(scope="module")
def services(pictures: Path, cache: Path) -> Iterator[ServicesWeb]:
    """All services, and nobody with an account yet."""
    with services_web(pictures, cache) as started:
        yield started


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """The administrator's browser, from the first test of this module to the last."""
    with browser.new_context(locale="en-GB") as made:
        made.set_default_timeout(30_000)
        yield made


@pytest.fixture(scope="module")
def job(services: ServicesWeb, context: BrowserContext) -> str:
    """Address of a job that the first administrator made and watched to its end."""
    link = services.made.first_link()
    assert link is not None
    page = context.new_page()
    page.goto(link)
    _fill(page, {"First name": "Ada", "Last name": "Root", "E-mail address": "ada@example.org",
                 "Password": PASSWORD})  # fmt: skip
    page.get_by_role("button", name="Make the administrator").click()
    page.goto(f"{services.url}/jobs")
    page.get_by_role("link", name="Make the first job").click()
    page.get_by_role("button", name="Holidays").click()
    expect(page.get_by_text("3 files")).to_be_visible()
    page.get_by_role("button", name="Make and start").click()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    expect(page.locator("#status")).to_have_text(re.compile("complete"), timeout=120_000)
    expect(page.locator("[data-stage=faces] [data-words]")).to_have_text("2 of 2")
    expect(page.locator("[data-stage=facts] [data-words]")).to_have_text("2 of 2")
    address = page.url
    page.close()
    return address


def _fill(page: Page, values: dict[str, str]) -> None:
    for label, value in values.items():
        page.locator("main").get_by_label(re.compile(f"^{label}")).fill(value)


@pytest.fixture
def page(context: BrowserContext, job: str) -> Iterator[Page]:
    with context.new_page() as made:
        yield made


def test_what_workers_found_stands_in_the_panes(page: Page, job: str) -> None:
    page.goto(f"{job}/gallery?q=boat")
    page.locator(".tile").first.click()
    panel = page.locator("#panel")
    expect(panel.get_by_text("SHA-256", exact=True)).to_be_visible()
    expect(panel).to_contain_text("At 2 paths")
    expect(panel).to_contain_text("by FACTS, from measured facts")
    panel.get_by_role("tab", name="Faces").click()
    expect(panel).to_contain_text(re.compile("no face", re.IGNORECASE))
    panel.get_by_role("tab", name="Metadata").click()
    expect(panel).to_contain_text("NIKON D90")
    panel.get_by_role("tab", name="Stages").click()
    expect(panel).to_contain_text("version")


def test_what_workers_found_is_searched(page: Page, job: str) -> None:
    page.goto(f"{job}/gallery")
    for query, found in (("camera:nikon", "1 picture"), ("place:stockholm", "1 picture"),
                         ("faces:0", "2 pictures"), ("lake OR boat", "2 pictures")):  # fmt: skip
        page.locator("#search").fill(query)
        page.keyboard.press("Enter")
        expect(page.locator("#count")).to_have_text(found)


def test_a_second_user_is_invited_and_sees_what_is_shared(
    services: ServicesWeb, page: Page, browser: Browser, job: str
) -> None:
    address = "eve@example.org"
    page.goto(f"{services.url}/users")
    _fill(page, {"E-mail address": address})
    page.get_by_role("combobox", name="Role").last.select_option("viewer")
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_text("is invited as viewer")).to_be_visible()
    page.goto(job)
    with browser.new_context(locale="en-GB") as theirs:
        guest = theirs.new_page()
        guest.goto(f"{services.url}/auth/invitation?key={services.key(address)}")
        _fill(guest, {"First name": "Eve", "Last name": "Guest", "Password": PASSWORD})
        guest.get_by_role("button", name="Make the account").click()
        expect(guest.get_by_text("Nobody has shared a job with you yet")).to_be_visible()
        page.get_by_label("E-mail address").fill(address)
        page.get_by_role("button", name="Share", exact=True).click()
        expect(page.locator("#shares")).to_contain_text(address)
        guest.goto(f"{services.url}/jobs")
        expect(guest.get_by_text("shared with you")).to_be_visible()
        guest.get_by_role("link", name="Holidays").click()
        expect(guest.get_by_role("button", name="Scan again")).to_have_count(0)
        guest.goto(f"{job}/gallery")
        expect(guest.locator(".tile").first).to_be_visible()


def test_no_serious_finding_of_accessibility(page: Page, job: str) -> None:
    page.goto(job)
    assert axe_findings(page) == []
