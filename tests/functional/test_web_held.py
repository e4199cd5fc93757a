"""R11 with the settings as they come: another process holds the catalog, and reading goes on."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from tests.conftest import Cli
from tests.support.cli import command, ending, environment
from tests.support.scans import FAST, some_pictures
from tests.support.served import Served, served
from tests.support.web import PASSWORD, WAIT, Person, WebServer, web_server

from caseframe.domain.work import JobState
from caseframe.web.session import REFRESH

WRITERS = 60


@contextmanager
def held(case: Path) -> Iterator[None]:
    """The write lock of the case's SQLite, taken by somebody else."""
    with closing(sqlite3.connect(case / "catalog.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def server(tmp_path: Path, pictures: Path, cache: Path) -> Iterator[Served]:
    with served(tmp_path / "case", pictures, cache) as running:
        yield running


@pytest.fixture
def client(server: Served) -> Iterator[httpx.Client]:
    """The first administrator, with room for as many connections as are asked for."""
    limits = httpx.Limits(max_connections=2 * WRITERS)
    with httpx.Client(base_url=server.url, timeout=60, limits=limits) as made:
        new = {
            "key": server.key, "first_name": "Ada", "last_name": "Root",
            "email": "ada@example.org", "password": PASSWORD,
        }  # fmt: skip
        assert made.post("/auth/first", data=new, headers={"origin": server.url}).status_code == 303
        made.cookies.clear()
        who = {"email": "ada@example.org", "password": PASSWORD}
        token = made.post("/auth/signin", json=who).json()["accessToken"]
        made.headers["authorization"] = f"Bearer {token}"
        yield made


def _rename(client: httpx.Client) -> httpx.Response:
    return client.patch("/api/v1/me", json={"first_name": "Changed"})


def test_a_held_lock_is_503_and_reading_goes_on_beside_sixty_writers(
    client: httpx.Client, tmp_path: Path
) -> None:
    """With the settings as they come; all sixty try again and again."""
    enough = threading.Event()

    def keep_trying() -> list[httpx.Response]:
        answers = [_rename(client)]
        while not enough.is_set():
            answers.append(_rename(client))
        return answers

    with held(tmp_path / "case"), ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(keep_trying) for _ in range(WRITERS)]
        try:
            for _ in range(20):
                _look_around(client)
        finally:
            enough.set()
        answers = [answer for one in writers for answer in one.result()]
    assert {one.status_code for one in answers} == {503}
    for one in answers:
        assert int(one.headers["retry-after"]) > 0
        assert "catalog.sqlite" not in one.text
        assert "command" not in one.text
    assert _rename(client).json()["first_name"] == "Changed"


def _look_around(client: httpx.Client) -> None:
    for address in ("/health", "/ready", "/api/v1/jobs", "/api/v1/me"):
        assert client.get(address).status_code == 200


def test_readers_do_not_stand_in_line_behind_writers(
    tmp_path: Path, pictures: Path, cache: Path
) -> None:
    """Where writers wait for as long as it takes, whoever reads is answered before any of them."""
    with web_server(tmp_path / "case", pictures, cache, web_busy_seconds=600) as web:
        owner = web.account("examiner")
        job = web.job(owner, "Office")
        client, reader = _roomy(web, owner), web.client(owner)
        expired = [web.sign_in(owner).tokens.refresh for _ in range(10)]
        with ThreadPoolExecutor(WRITERS + 50) as pool, held(web.case):
            patient = [pool.submit(_rename, client) for _ in range(20)]
            patient += [pool.submit(client.post, f"/api/v1/jobs/{job}/start") for _ in range(4)]
            _until(web.services.catalog._line.locked)  # type: ignore[union-attr]
            more = [pool.submit(_rename, client) for _ in range(WRITERS - 24)]
            browsers = [pool.submit(_come_back, web, token) for token in expired]
            for _ in range(20):
                _look_around(reader)
                assert len(reader.get("/api/v1/jobs").json()) == 1
            assert not any(one.done() for one in patient)
        assert {one.result().status_code for one in patient} <= {200, 202}
        assert {one.result().status_code for one in more} <= {200, 503}
        assert {one.result() for one in browsers} == {200}


def _roomy(web: WebServer, person: Person) -> httpx.Client:
    return web.client(person, limits=httpx.Limits(max_connections=2 * WRITERS))


def _come_back(web: WebServer, refresh: str) -> int:
    """What a browser is answered whose access token ran out, so that it has to be renewed."""
    browser = web.browser_like()
    browser.cookies.set(REFRESH, refresh, domain="127.0.0.1", path="/")
    return browser.get("/jobs").status_code


def _until(it_is: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not it_is():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def test_a_job_at_work_waits_longer_than_people_do(
    tmp_path: Path, pictures: Path, cache: Path
) -> None:
    """A scan within the server is not given up where a request is."""
    with web_server(tmp_path / "case", pictures, cache, web_busy_seconds=0.2) as web:
        owner = web.account("examiner")
        job = web.job(owner, "Office", stages=["similar"])
        manager = web.services.manager
        go_on = threading.Event()
        opener = manager._open_runner  # type: ignore[attr-defined]

        def held_back(*arguments: object) -> object:
            assert go_on.wait(WAIT)
            return opener(*arguments)

        manager._open_runner = held_back  # type: ignore[attr-defined]
        manager.submit(job)
        with held(web.case):
            go_on.set()
            for _ in range(5):
                answer = web.client(owner).patch("/api/v1/me", json={"first_name": "Late"})
                assert answer.status_code == 503
        assert web.run_job(job) is JobState.FINISHED
        assert web.client(owner).get(f"/api/v1/jobs/{job}").json()["pictures"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_scan_that_waits_for_the_lock_can_be_stopped(
    cli: Cli, cache: Path, tmp_path: Path, number: int
) -> None:
    """It ends while the lock is still held, and the next one does all of it."""
    pictures = some_pictures(tmp_path / "pictures")
    case = tmp_path / "case"
    assert cli("scan", pictures, "--case", case, "--stages", FAST).status == 0
    with held(case):
        words = command("scan", pictures, "--case", case, "--stages", FAST)
        process = subprocess.Popen(
            words, env=environment(cache), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        with ending(process):
            _until_it_has_opened(process.pid, case)
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
            assert process.returncode == 1
            assert "stopped" in err
            assert "Traceback" not in err
    assert cli("scan", pictures, "--case", case, "--stages", FAST, "--json").status == 0


def _until_it_has_opened(pid: int, case: Path) -> None:
    """Wait until the process has the catalog open: from then on it stands at the lock."""
    catalog = str(case / "catalog.sqlite")
    _until(lambda: catalog in _open_files(pid))


def _open_files(pid: int) -> set[str]:
    found = set()
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    return found
