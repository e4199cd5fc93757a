"""What goes through the broker, in a real browser: dead letters, waiting jobs, foreign results."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect
from tests.e2e.test_stored_scripts import MARKUP, Watched
from tests.support import letters
from tests.support.external import HandWorker, web_with_external
from tests.support.web import WebServer, axe_findings

QUEUE = "plate-reader"
STAGE = {
    "name": "plates", "title": "Number plates", "queue": QUEUE,
    "summary": f"Reads plates {MARKUP[0]}.",
}  # fmt: skip
LONG = "long " * 200
VALUE: dict[str, Any] = {
    "plates": [{"text": MARKUP[1], "sure": 0.5}, {"text": "ABC 123"}],
    MARKUP[3]: MARKUP[0],
    "note": LONG,
    "many": list(range(120)),
    "car": {"make": {"name": {"first": "deep down"}}},
    "markup": list(MARKUP),
}


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, pictures: Path, cache: Path, rabbitmq_server: str
) -> Iterator[WebServer]:
    folder = tmp_path_factory.mktemp("broker")
    with web_with_external(folder, pictures, cache, rabbitmq_server, [STAGE]) as web:
        yield web


@pytest.fixture
def buried(served: WebServer, rabbitmq_server: str) -> Iterator[str]:
    """The broker with hostile dead letters, which are gone afterwards."""
    for number, text in enumerate(MARKUP):
        body = letters.task(f"/Office/{text}", QUEUE, jobId=text, attempt=number)
        letters.bury(rabbitmq_server, QUEUE, body, text)
    letters.bury(rabbitmq_server, QUEUE, b"\x00\xff", MARKUP[0] * 40)
    yield rabbitmq_server
    served.client(served.administrator).post("/api/v1/dead-letters/drop", json={"ids": "all"})
    letters.waiting(rabbitmq_server, QUEUE)


def test_dead_letters_are_chosen_sent_again_and_dropped(
    served: WebServer, page: Page, buried: str
) -> None:
    served.let_in(page.context, served.administrator)
    page.goto(f"{served.url}/jobs")
    page.get_by_role("link", name="Dead letters").click()
    rows = page.locator("#letters tbody tr")
    expect(rows).to_have_count(len(MARKUP) + 1)
    again = page.get_by_role("button", name="Send selected again")
    expect(again).to_be_disabled()
    rows.first.get_by_role("checkbox").check()
    again.click()
    expect(page.get_by_text("1 dead letter sent again.")).to_be_visible()
    expect(rows).to_have_count(len(MARKUP))
    assert len(letters.waiting(buried, QUEUE)) == 1
    page.get_by_label("Select all on this page").check()
    rows.first.get_by_role("checkbox").uncheck()
    page.get_by_role("button", name="Drop selected").click()
    expect(page.get_by_text(f"Drop {len(MARKUP) - 1} dead letters?")).to_be_visible()
    page.get_by_role("link", name="Keep them").click()
    expect(rows).to_have_count(len(MARKUP))
    page.get_by_role("button", name="Drop all").click()
    expect(page.get_by_text("Drop all dead letters?")).to_be_visible()
    page.get_by_role("button", name="Drop", exact=True).click()
    expect(page.get_by_text("No dead letters")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
def test_hostile_letters_are_inert_and_the_page_is_for_everybody(
    served: WebServer, browser: Browser, buried: str, scheme: Any, width: int
) -> None:
    view = ViewportSize(width=width, height=900)
    with browser.new_context(color_scheme=scheme, viewport=view) as context:
        served.let_in(context, served.administrator)
        page = context.new_page()
        watched = Watched(served, page)
        watched.visit(f"{served.url}/dead-letters")
        assert axe_findings(page) == []
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, "the page scrolls sideways"
        page.get_by_role("button", name="Drop all").click()
        expect(page.get_by_role("button", name="Drop", exact=True)).to_be_visible()
        assert axe_findings(page) == []
        assert watched.wrong == []


def test_a_job_without_workers_says_so_until_one_comes(
    served: WebServer, page: Page, rabbitmq_server: str
) -> None:
    owner = served.account("examiner")
    job = served.job(owner, "Office", stages=["plates"])
    served.let_in(page.context, owner)
    page.goto(f"{served.url}/jobs/{job}")
    notice = page.locator("#waiting")
    expect(notice).to_be_hidden()
    page.get_by_role("button", name="Start").click()
    expect(notice).to_have_text(re.compile(f"no worker takes tasks from the queue {QUEUE}"))
    assert axe_findings(page) == []
    with HandWorker(rabbitmq_server, QUEUE, lambda _task: VALUE):
        expect(page.locator("#status")).to_have_text("complete")
    expect(notice).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_foreign_result_is_readable_and_inert(
    served: WebServer, browser: Browser, rabbitmq_server: str, scheme: Any
) -> None:
    owner = served.administrator
    job = served.job(owner, "Holidays", stages=["plates"])
    with HandWorker(rabbitmq_server, QUEUE, lambda _task: VALUE):
        served.run_job(job)
    first = served.client(owner).get(f"/api/v1/jobs/{job}/pictures").json()["pictures"][0]
    with browser.new_context(
        color_scheme=scheme, permissions=["clipboard-read", "clipboard-write"]
    ) as context:
        served.let_in(context, owner)
        page = context.new_page()
        watched = Watched(served, page)
        page.goto(f"{served.url}/jobs/{job}/gallery?picture={first['id']}")
        page.get_by_role("tab", name="Stages").click()
        pane = page.locator("#pane")
        expect(pane).to_contain_text("Number plates version 1: done")
        expect(pane).to_contain_text(f"Reads plates {MARKUP[0]}.")
        expect(pane.get_by_role("row", name="ABC 123").last).to_be_visible()
        expect(pane).not_to_contain_text(LONG.strip())
        pane.get_by_role("button", name="Show all 1,000 characters").click()
        expect(pane).to_contain_text(LONG.strip())
        expect(pane.get_by_text("119", exact=True)).to_have_count(0)
        pane.get_by_role("button", name="Show all 120").click()
        expect(pane.get_by_text("119", exact=True)).to_be_visible()
        expect(pane.get_by_text("deep down")).to_have_count(0)
        folded = pane.get_by_text("1 value")
        folded.first.click()
        expect(folded).to_have_count(2)  # what lies deeper is there only now
        folded.last.click()
        expect(pane.get_by_text("deep down")).to_be_visible()
        pane.get_by_role("button", name="Copy what Number plates found").click()
        copied = page.evaluate("() => navigator.clipboard.readText()")
        assert json.loads(copied) == VALUE
        assert axe_findings(page) == []
        page.wait_for_timeout(300)
        watched.wrong += page.evaluate("() => window.__violations")
        assert watched.wrong == []
