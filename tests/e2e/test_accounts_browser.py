"""Accounts in a real browser: the whole life of a case's people, without and with scripts."""

from __future__ import annotations

import email
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from email.policy import default as modern
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.support.cli import command, environment
from tests.support.openid import CLIENT, SECRET, openid_provider
from tests.support.services import chosen, services_web
from tests.support.web import PASSWORD, WAIT, FreshWeb, WebServer, axe_findings

NEW_PASSWORD = "Another-horse-8"


@pytest.fixture
def serve(tmp_path: Path, pictures: Path, cache: Path) -> Iterator[tuple[str, Path]]:
    """`caseframe serve` as a user starts it: (the link that it printed, the case folder)."""
    if chosen():
        with services_web(pictures, cache) as services:
            link = services.made.first_link()
            assert link is not None
            yield link, services.case
        return
    case = tmp_path / "case"
    with subprocess.Popen(
        command("serve", "--case", case, "--sources", pictures, "--port", "0"),
        env=environment(cache, CASEFRAME_DESCRIBE_WITH="FACTS"), stdout=subprocess.PIPE, text=True,
        cwd=tmp_path,
    ) as server:  # fmt: skip
        assert server.stdout is not None
        try:
            links = (re.search(r"http://\S+/auth/first\S+", line) for line in server.stdout)
            first = next(link.group() for link in links if link)
            _wait_until_up(first)
            yield first, case
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(WAIT)
    assert server.returncode == 0


def _wait_until_up(link: str) -> None:
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        try:
            httpx.get(f"{_site(link)}/health")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server does not come up")


def _site(link: str) -> str:
    parts = urlsplit(link)
    return f"{parts.scheme}://{parts.netloc}"


def _mailed_link(case: Path, to: str, path: str) -> str:
    """The link of the newest mail in the outbox to somebody, as a person opens it."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        for file in sorted((case / "outbox").glob("*.eml"), reverse=True):
            mail = email.message_from_bytes(file.read_bytes(), policy=modern)
            body = mail.get_body(("plain",))
            text = body.get_content() if body is not None else ""
            found = re.search(rf"http://\S+{path}\S+", text)
            if mail["to"] == to and found:
                return found.group()
        time.sleep(0.1)
    raise AssertionError(f"no mail to {to} with a link to {path}")


def _fill(page: Page, **values: str) -> None:
    labels = {
        "first": "First name", "last": "Last name", "email": "E-mail address",
        "password": "Password", "new": "New password", "before": "Password until now",
    }  # fmt: skip
    for name, value in values.items():
        page.locator("main").get_by_label(re.compile(f"^{labels[name]}")).fill(value)


def _sign_in(page: Page, site: str, address: str, password: str) -> None:
    page.goto(f"{site}/sign-in")
    _fill(page, email=address, password=password)
    page.get_by_role("button", name="Sign in").click()


def _menu(page: Page, name: str, item: str) -> None:
    page.get_by_role("button", name=name).click()
    page.get_by_text(item, exact=True).click()


def test_the_people_of_a_case_from_the_first_link_on(
    serve: tuple[str, Path], browser: Browser
) -> None:
    first, case = serve
    site = _site(first)
    with browser.new_context() as ours, browser.new_context() as theirs:
        admin, guest = ours.new_page(), theirs.new_page()
        _make_administrator(admin, first)
        address = _invite_and_accept(admin, guest, site, case)
        _end_a_session_elsewhere(browser, guest, site, address)
        _forget_the_password(browser, guest, site, case, address)
        _shut_out(admin, guest, site)
        _menu(admin, "Ada Root", "Sign out")
        expect(admin.get_by_text("You are signed out.")).to_be_visible()
        admin.goto(f"{site}/users")
        expect(admin.get_by_role("heading", name="Sign in")).to_be_visible()
        _sign_in_and_come_back(admin)


def _make_administrator(page: Page, link: str) -> None:
    for wrong in (link.split("?", maxsplit=1)[0], f"{_site(link)}/auth/first?key=x"):
        page.goto(wrong)
        expect(page.get_by_role("heading", name="This link is no longer good")).to_be_visible()
        expect(page.locator("main form")).to_have_count(0)
    page.goto(link)
    _fill(page, first="Ada", last="Root", email="ada@example.org", password="weak")
    page.get_by_role("button", name="Make the administrator").click()
    expect(page.get_by_text("must hold a digit")).to_be_visible()
    expect(page.get_by_label("Last name")).to_have_value("Root")
    expect(page.locator("#password")).to_have_value("")
    _fill(page, password=PASSWORD)
    page.get_by_role("button", name="Make the administrator").click()
    expect(page).to_have_url(re.compile("/jobs$"))
    for used in (link, link.split("?", maxsplit=1)[0]):
        page.goto(used)
        expect(page.get_by_role("heading", name="This case has an administrator")).to_be_visible()
        expect(page.locator("main form")).to_have_count(0)
    expect(page.locator("main").get_by_role("link", name="Sign in")).to_be_visible()


def _invite_and_accept(admin: Page, guest: Page, site: str, case: Path) -> str:
    address = "guest@example.org"
    admin.goto(f"{site}/users")
    _fill(admin, email=address)
    admin.get_by_role("combobox", name="Role").last.select_option("viewer")
    admin.get_by_role("button", name="Invite").click()
    expect(admin.get_by_text("is invited as viewer")).to_be_visible()
    link = _mailed_link(case, address, "/auth/invitation")
    guest.goto(link)
    expect(guest.get_by_text(address)).to_be_visible()
    _fill(guest, first="Gus", last="Guest", password=PASSWORD)
    guest.get_by_role("button", name="Make the account").click()
    expect(guest.get_by_text("Nobody has shared a job with you yet")).to_be_visible()
    expect(guest.get_by_role("link", name="Users")).to_have_count(0)
    guest.goto(link)
    expect(guest.get_by_text("was used already")).to_be_visible()
    return address


def _end_a_session_elsewhere(browser: Browser, guest: Page, site: str, address: str) -> None:
    with browser.new_context() as elsewhere:
        other = elsewhere.new_page()
        _sign_in(other, site, address, PASSWORD)
        expect(other).to_have_url(re.compile("/jobs$"))
        guest.goto(f"{site}/account")
        expect(guest.get_by_role("row").filter(has_text="this one")).to_have_count(1)
        row = guest.get_by_role("row").filter(has_text="127.0.0.1").filter(has_not_text="this one")
        row.get_by_role("button", name="End").click()
        expect(guest.get_by_text("The session is ended.")).to_be_visible()
        other.goto(f"{site}/account")
        expect(other.get_by_role("heading", name="Sign in")).to_be_visible()


def _forget_the_password(
    browser: Browser, guest: Page, site: str, case: Path, address: str
) -> None:
    with browser.new_context() as elsewhere:
        other = elsewhere.new_page()
        _sign_in(other, site, address, "Wrong-horse-7")
        expect(other.get_by_role("alert")).to_contain_text("is wrong")
        other.get_by_role("link", name="Forgotten your password?").click()
        _fill(other, email=address)
        other.get_by_role("button", name="Send the link").click()
        expect(other.get_by_role("heading", name="Look into your mail")).to_be_visible()
        other.goto(_mailed_link(case, address, "/auth/reset"))
        _fill(other, new=NEW_PASSWORD)
        other.get_by_role("button", name="Set the password").click()
        expect(other.get_by_text("Your password is changed")).to_be_visible()
    guest.goto(f"{site}/account")
    expect(guest.get_by_role("heading", name="Sign in")).to_be_visible()
    _fill(guest, email=address, password=NEW_PASSWORD)
    guest.get_by_role("button", name="Sign in").click()
    expect(guest).to_have_url(re.compile("/account$"))
    _fill(guest, before=NEW_PASSWORD, new=PASSWORD)
    guest.get_by_role("button", name="Change the password").click()
    expect(guest.get_by_text("all other devices are signed out")).to_be_visible()


def _shut_out(admin: Page, guest: Page, site: str) -> None:
    admin.goto(f"{site}/users?text=gus")
    admin.get_by_role("link", name="Gus Guest").click()
    admin.get_by_role("button", name="Disable").click()
    expect(admin.get_by_text("The account is disabled and signed out.")).to_be_visible()
    end = time.monotonic() + 5
    while guest.goto(f"{site}/account").status != 401:  # type: ignore[union-attr]
        assert time.monotonic() < end, "still let in after five seconds"
    admin.get_by_role("button", name="Delete…").click()
    expect(admin.get_by_text("This user owns no jobs.")).to_be_visible()
    admin.get_by_role("button", name="Delete the user").click()
    expect(admin.get_by_text("is deleted; there were no jobs.")).to_be_visible()


def _sign_in_and_come_back(page: Page) -> None:
    _fill(page, email="ada@example.org", password=PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/users$"))


def test_the_forms_work_without_scripts(web: WebServer, browser: Browser) -> None:
    person = web.account("viewer")
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{web.url}/account")
        _fill(page, email=person.email, password=PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{web.url}/account")
        _fill(page, first="Eva")
        page.get_by_role("button", name="Save the name").click()
        expect(page.get_by_text("Your name is changed.")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_text("You are signed out.")).to_be_visible()


def test_after_signing_out_no_picture_can_be_looked_at(
    web: WebServer, scanned: str, page: Page
) -> None:
    person = web.sign_in(web.administrator)
    pictures = web.client(person).get(f"/api/v1/jobs/{scanned}/pictures").json()["pictures"]
    picture = next(one["id"] for one in pictures if one["thumbnail"])
    address = f"/api/v1/jobs/{scanned}/pictures/{picture}/thumbnail"
    look = "address => fetch(address).then(answer => answer.status)"
    web.let_in(page.context, person)
    page.goto(f"{web.url}/jobs")
    assert page.evaluate(look, address) == 200
    _menu(page, "Ada Root", "Sign out")
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    assert page.evaluate(look, address) == 401


def test_deleting_somebody_asks_what_becomes_of_the_jobs(web: WebServer, page: Page) -> None:
    person, heir = web.account("examiner", "Béla", "Kovács"), web.account("examiner", "Eva", "Heir")
    job = web.job(person, "Office", name="<b>Papers</b>")
    web.let_in(page.context, web.administrator)
    page.goto(f"{web.url}/users/{person.id}")
    page.get_by_role("button", name="Delete…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("<b>Papers</b>")).to_be_visible()
    dialog.get_by_role("button", name="Delete the user").click()
    expect(dialog).to_be_visible()  # the browser asks for a choice first
    dialog.get_by_label("Hand over to another user").check()
    dialog.get_by_role("combobox").select_option(heir.id)
    dialog.get_by_role("button", name="Delete the user").click()
    expect(page.get_by_text("1 job handed over")).to_be_visible()
    assert web.client(heir).get(f"/api/v1/jobs/{job}").json()["access"] == "owner"


def test_the_button_of_another_provider(fresh_web: FreshWeb, page: Page) -> None:
    with openid_provider() as provider:
        described = f"{provider.url}/.well-known/openid-configuration"
        institute = {
            "name": "institute", "title": "The Institute", "discovery_url": described,
            "client_id": CLIENT, "client_secret": SECRET,
        }  # fmt: skip
        web = fresh_web(sign_up="open", oauth_providers=[institute])
        page.goto(f"{web.url}/account")
        page.get_by_role("link", name="Sign in with The Institute").click()
        expect(page).to_have_url(f"{web.url}/account")
        expect(page.get_by_role("definition").filter(has_text="anna@example.org")).to_be_visible()
        expect(page.get_by_text("used by this account")).to_be_visible()


def _watched(context: BrowserContext, site: str) -> tuple[Page, list[str]]:
    """A page, and what went wrong in it: policy violations, errors, requests to other hosts."""
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if "policy" in said.text else None)
    page.on("request", lambda sent: None if sent.url.startswith((site, "data:", "blob:"))
            else wrong.append(sent.url))  # fmt: skip
    return page, wrong


@pytest.mark.parametrize(("theme", "width"), [("light", 390), ("dark", 1280)])
def test_the_pages_are_for_everybody(
    fresh_web: FreshWeb, browser: Browser, theme: str, width: int
) -> None:
    web = fresh_web(sign_up="open")
    owner, off = web.account("examiner"), web.account("viewer", "Otto", "Off")
    web.job(owner, "Office")
    web.services.accounts.disable(web.principal(), off.id)
    web.services.accounts.invite(web.principal(), "guest@example.org", owner.role)
    key = web.key("guest@example.org")
    members = ["/account", "/users", "/users?text=nobody", f"/users/{owner.id}", f"/users/{off.id}"]
    visitors = ["/sign-in", "/sign-up", "/forgot", "/auth/reset?key=x", "/auth/verify?key=x",
                f"/auth/invitation?key={key}", "/auth/first?key=x", "/account"]  # fmt: skip
    size = {"width": width, "height": 800}
    with (
        browser.new_context(viewport=size, color_scheme=theme) as ours,  # type: ignore[arg-type]
        browser.new_context(viewport=size, color_scheme=theme) as theirs,  # type: ignore[arg-type]
    ):
        web.let_in(ours, web.administrator)
        for context, paths in ((theirs, visitors), (ours, members)):
            page, wrong = _watched(context, web.url)
            for path in paths:
                page.goto(web.url + path)
                assert axe_findings(page) == [], path
                assert page.locator("h1").count() == 1, path
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, path
            assert wrong == []
