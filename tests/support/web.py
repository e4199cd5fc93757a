"""The real web server over a temporary case, people who can sign in to it, and a browser."""

from __future__ import annotations

import email
import itertools
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from email.policy import default as modern
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from tests.makers.photos import gps_tags, jpeg_with_exif, photo

from caseframe.catalog import jobs
from caseframe.cli.assemble import open_case
from caseframe.cli.web import web_services
from caseframe.domain.access import Principal, Role
from caseframe.domain.people import Client, NewAccount, Tokens
from caseframe.domain.work import JobState
from caseframe.settings import Settings
from caseframe.web.app import create_app
from caseframe.web.services import Services
from caseframe.web.session import ACCESS, REFRESH

PASSWORD = "Correct-horse-7"
HERE = Client("192.0.2.1", "Test/1.0")
WAIT = 120.0
"""Seconds after which a test that waits for something gives up."""
ENDING = 300.0
_T = TypeVar("_T")
CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
AXE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
_OVER = {JobState.FINISHED, JobState.STOPPED, JobState.FAILED}
_KEY = re.compile(r"\?key=([0-9a-f-]{36})")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Person:
    """Somebody with an account and one open session."""

    id: str
    email: str
    name: str
    role: Role
    tokens: Tokens
    password: str = PASSWORD

    @property
    def bearer(self) -> dict[str, str]:
        """The header that programs send."""
        return {"authorization": f"Bearer {self.tokens.access}"}


@dataclass
class WebServer:
    """A server that runs, and what tests need beside its address."""

    url: str
    case: Path
    sources: Path
    services: Services
    _clients: list[httpx.Client] = field(default_factory=list)
    _administrator: Person | None = None

    @property
    def administrator(self) -> Person:
        """The first administrator; made when first asked for."""
        if self._administrator is None:
            key = self.services.accounts.first_key()
            assert key, "somebody else made the first administrator"
            new = NewAccount("Ada", "Root", "ada@example.org", PASSWORD)
            tokens = self.services.accounts.create_first_administrator(key, new, HERE)
            self._administrator = self._person(tokens)
        return self._administrator

    def account(
        self, role: Role | str = Role.EXAMINER, first: str = "Anna", last: str = "Nyström"
    ) -> Person:
        """Somebody new with that role, who came by an invitation."""
        address = f"{role}-{next(_numbers)}@example.org"
        self.services.accounts.invite(self.principal(), address, Role(role))
        new = NewAccount(first, last, address, PASSWORD)
        key = self.key(address)
        return self._person(self.services.accounts.accept_invitation(key, new, HERE))

    def sign_in(self, person: Person, password: str | None = None) -> Person:
        """The same person with one more session."""
        tokens = self.services.accounts.sign_in(person.email, password or person.password, HERE)
        return self._person(tokens)

    def principal(self, person: Person | None = None) -> Principal:
        """What accounts know somebody as; the administrator when nobody is named."""
        token = (person or self.administrator).tokens.access
        return self.services.accounts.validate(token)

    def _person(self, tokens: Tokens) -> Person:
        who = self.services.accounts.validate(tokens.access)
        return Person(who.user_id, who.email, who.name, who.role, tokens)

    def client(self, person: Person | None = None, **options: Any) -> httpx.Client:
        """A program that asks as that person, by a bearer token; it follows no redirection."""
        headers = {**(person.bearer if person else {}), **options.pop("headers", {})}
        made = httpx.Client(base_url=self.url, headers=headers, timeout=WAIT, **options)
        self._clients.append(made)
        return made

    def browser_like(self, person: Person | None = None) -> httpx.Client:
        """What sends and keeps cookies and the headers of a browser, without being one."""
        asks = {"accept": "text/html", "origin": self.url, "sec-fetch-site": "same-origin"}
        made = self.client(headers=asks)
        if person is not None:
            for name, value in ((ACCESS, person.tokens.access), (REFRESH, person.tokens.refresh)):
                made.cookies.set(name, value, domain="127.0.0.1", path="/")
        return made

    def let_in(self, context: BrowserContext, person: Person) -> None:
        """Give a browser the cookies of somebody who is signed in."""
        context.add_cookies(
            [
                {"name": name, "value": value, "url": self.url, "httpOnly": True, "sameSite": "Lax"}
                for name, value in (
                    (ACCESS, person.tokens.access), (REFRESH, person.tokens.refresh),
                )
            ]
        )  # fmt: skip

    def mails(self, to: str) -> list[str]:
        """The texts of the mails in the outbox to that address, the oldest first."""
        self.services.accounts.flush_mail()  # type: ignore[attr-defined]
        return self.read_mails(to)

    def read_mails(self, to: str) -> list[str]:
        """The same, of what is in the outbox by now."""
        files = sorted((self.case / "outbox").glob("*.eml"))
        found = [email.message_from_bytes(file.read_bytes(), policy=modern) for file in files]
        texts = [mail.get_body(("plain",)) for mail in found if mail["to"] == to]
        return [text.get_content() for text in texts if text is not None]

    def key(self, to: str) -> str:
        """The key of the last link that was sent to that address."""
        keys = [key for text in self.mails(to) for key in _KEY.findall(text)]
        assert keys, f"no mail with a link to {to}"
        return str(keys[-1])

    def job(
        self,
        owner: Person,
        folder: str = "",
        *,
        name: str = "A job",
        stages: list[str] | None = None,
        run: bool = False,
    ) -> str:
        """The id of a new job over a folder of the sources; `run` scans it to the end."""
        asked = {"name": name, "source": quote(folder), "stages": stages}
        answer = self.client(owner).post("/api/v1/jobs", json=asked)
        assert answer.status_code == 201, answer.text
        made = str(answer.json()["id"])
        if run:
            self.run_job(made)
        return made

    def run_job(self, job_id: str) -> JobState:
        """Scan a job and wait until that is over; how it ended."""
        self.services.manager.submit(job_id)
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            with self.services.catalog.read() as connection:
                state = jobs.get_job(connection, job_id).state
            if state in _OVER:
                return state
            time.sleep(0.05)
        raise AssertionError(f"job {job_id} did not end within {WAIT:g} s")

    def close(self) -> None:
        """Close the clients that were given away."""
        for client in self._clients:
            client.close()


FreshWeb = Callable[..., WebServer]
"""Starts a server of one's own with settings: what the fixture `fresh_web` gives."""


def clean_settings(cache: Path, **given: Any) -> Settings:
    """Settings that nothing of the developer's own has a say in."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CASEFRAME_")}
    chosen = {"cache_dir": cache, "workers": 2, "describe_with": "FACTS", **given}
    with mock.patch.dict(os.environ, clean, clear=True):
        return Settings(**chosen)


@contextmanager
def web_server(case: Path, sources: Path, cache: Path, **given: Any) -> Iterator[WebServer]:
    """A server over the case (made where there is none), with settings as `given`."""
    settings = clean_settings(cache, **given)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with (
            open_case(case, settings, create=True) as opened,
            web_services(opened, sources, settings.public_url or url) as services,
        ):
            server = WebServer(url, case, sources, services)
            with running_web(services, listening):
                yield server
                server.close()


@contextmanager
def without_end(context: AbstractContextManager[_T]) -> Iterator[_T]:
    """The same context, whose end is an error beyond `ENDING` seconds.

    What hangs at the end of a run would take all its results along. Where it hangs is told by
    pytest (`faulthandler_timeout`).
    """
    with ExitStack() as stack:
        value = stack.enter_context(context)
        rest = stack.pop_all()
    try:
        yield value
    finally:
        ended: Future[None] = Future()

        def end() -> None:
            try:
                rest.close()
                ended.set_result(None)
            except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
                ended.set_exception(error)

        threading.Thread(target=end, name="end-server", daemon=True).start()
        ended.result(ENDING)


@contextmanager
def running_web(services: Services, listening: socket.socket) -> Iterator[None]:
    """Answer at a socket, from a thread of this process, while the block lasts."""
    config = uvicorn.Config(
        create_app(services), log_config=None, access_log=False, server_header=False,
        proxy_headers=False, timeout_graceful_shutdown=5,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listening]}, name="web",
        daemon=True,
    )  # fmt: skip
    thread.start()
    try:
        _wait_until_up(server, thread)
        yield
    finally:
        services.broadcaster.close()
        server.should_exit = True
        thread.join(WAIT)
        assert not thread.is_alive(), "the server does not end"


def _wait_until_up(server: uvicorn.Server, thread: threading.Thread) -> None:
    end = time.monotonic() + WAIT
    while not server.started:
        assert thread.is_alive(), "the server ended before it began"
        assert time.monotonic() < end, "the server does not come up"
        time.sleep(0.01)


def make_pictures(folder: Path) -> Path:
    """A small collection: cameras, places, formats, a duplicate, a broken file, odd names."""
    files = {
        "Holidays/boat.jpg": jpeg_with_exif(
            (640, 480), 1, Make="Nikon", Model="NIKON D90", DateTimeOriginal="2016:07:02 10:00:00",
            **gps_tags(45.92, 6.87),
        ),
        "Holidays/lake.jpg": jpeg_with_exif(
            (480, 640), 2, Make="Canon", Model="Canon EOS 5D",
            DateTimeOriginal="2017:01:20 16:30:00", **gps_tags(59.33, 18.07),
        ),
        "Holidays/copy of boat.jpg": b"",
        "Office/scan.png": photo(400, 300, 3, format="PNG"),
        "Office/map.webp": photo(300, 200, 4, format="WEBP"),
        "Office/<b>bold</b>.jpg": photo(320, 240, 5),
        "Office/notes.txt": b"Nothing to see here.\n",
        "Broken/cut.jpg": photo(640, 480, 6)[:9000],
        "Broken/zero.jpg": b"",
    }  # fmt: skip
    files["Holidays/copy of boat.jpg"] = files["Holidays/boat.jpg"]
    files |= {f"Many/{seed:03}.jpg": photo(160, 120, seed) for seed in range(100, 124)}
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def axe_findings(page: Page) -> list[str]:
    """What axe-core holds to be a serious or critical fault of the page as it is now."""
    if not AXE.exists():
        reason = "axe-core is not installed; run: npm ci"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{one['id']}: {[node['target'] for node in one['nodes']]}"
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]


@contextmanager
def chromium() -> Iterator[Browser | None]:
    """A real browser, or None where none is installed."""
    program = next((path for path in CHROMIUM if Path(path).exists()), None)
    if program is None:
        yield None
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield browser
        browser.close()
