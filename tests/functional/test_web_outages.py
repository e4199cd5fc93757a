"""R10 and R11 over HTTP: the catalog is away or held; nobody is told that it worked."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from tests.support import postgresql
from tests.support.web import Person, WebServer, web_server


@contextmanager
def write_lock(web: WebServer) -> Iterator[None]:
    """Another process holds the write lock of the case's SQLite."""
    (file,) = web.case.glob("*.sqlite")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def hurried(tmp_path: Path, pictures: Path, cache: Path) -> Iterator[WebServer]:
    """A server that waits only a moment for its catalog."""
    with web_server(
        tmp_path / "case", pictures, cache, web_busy_seconds=0.3, access_token_minutes=1
    ) as web:
        yield web


def busy(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"]["code"] in {"busy", "away"}


def test_a_held_write_lock_is_503_and_the_retry_does_it_once(hurried: WebServer) -> None:
    owner = hurried.account("examiner")
    job = hurried.job(owner, "Office")
    client = hurried.client(owner)
    new = {"name": "Later", "source": "Office"}
    with write_lock(hurried):
        busy(client.post("/api/v1/jobs", json=new))
        busy(client.patch(f"/api/v1/jobs/{job}", json={"name": "Changed"}))
        busy(client.patch("/api/v1/me", json={"first_name": "Changed"}))
        busy(client.delete("/api/v1/me/sessions"))
        busy(client.post("/auth/signout"))
        # Reading goes on, and so does all that needs no catalog.
        assert client.get("/api/v1/jobs").status_code == 200
        assert client.get("/ready").status_code == 200
        assert [one["name"] for one in client.get("/api/v1/jobs").json()] == ["A job"]
    assert client.get("/api/v1/me").json()["first_name"] == "Anna"
    assert client.post("/api/v1/jobs", json=new).status_code == 201
    assert [one["name"] for one in client.get("/api/v1/jobs").json()] == ["Later", "A job"]
    assert client.delete(f"/api/v1/jobs/{job}").status_code == 204


def test_signing_in_while_the_catalog_is_held_spends_nothing(hurried: WebServer) -> None:
    person = hurried.account("viewer")
    stranger = hurried.client()
    body = {"email": person.email, "password": person.password}
    refresh = {"token": person.tokens.refresh}
    with write_lock(hurried):
        busy(stranger.post("/auth/signin", json=body))
        busy(stranger.post("/auth/refresh", json=refresh))
        busy(stranger.post("/auth/refresh", json=refresh))
    assert stranger.post("/auth/refresh", json=refresh).status_code == 200
    assert stranger.post("/auth/signin", json=body).status_code == 200


def test_a_browser_keeps_its_session_over_an_outage(hurried: WebServer) -> None:
    person = hurried.account("viewer")
    browser = hurried.browser_like(person)
    browser.cookies.delete("caseframe_access")  # so that the next request has to renew
    with write_lock(hurried):
        for address in ("/jobs", "/account"):
            answer = browser.get(address)
            assert answer.status_code == 503
            assert answer.headers["content-type"].startswith("text/html")
            assert "set-cookie" not in answer.headers
        assert browser.get("/static/caseframe.css").status_code == 200
        assert browser.get("/health").status_code == 200
    again = browser.get("/jobs")
    assert again.status_code == 200
    assert len(again.headers.get_list("set-cookie")) == 2


def test_a_long_lock_is_waited_for(tmp_path: Path, pictures: Path, cache: Path) -> None:
    """Within web_busy_seconds nobody notices more than a delay.

    The wait is in steps of a second and as long as is set, so one second shows what a minute would;
    a whole minute is passed by `make chaos`.
    """
    with web_server(tmp_path / "case", pictures, cache, web_busy_seconds=60) as web:
        owner = web.account("examiner")
        client = web.client(owner)
        found: list[int] = []
        with write_lock(web):
            asking = threading.Thread(
                target=lambda: found.append(
                    client.post("/api/v1/jobs", json={"name": "x", "source": ""}).status_code
                )
            )
            asking.start()
            asking.join(1.0)
            assert asking.is_alive()
            assert web.client(owner).get("/api/v1/jobs").json() == []
        asking.join(60)
        assert found == [201]


@pytest.fixture
def private() -> Iterator[postgresql.PrivateServer]:
    """A PostgreSQL that the test may stop."""
    with postgresql.private_server() as server:
        if server is None:
            reason = "PostgreSQL is not installed: its absence cannot be tested"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        yield server


def test_a_database_that_stops_and_comes_back(
    private: postgresql.PrivateServer, tmp_path: Path, pictures: Path, cache: Path
) -> None:
    url = private.url.replace("postgresql://", "postgresql+psycopg://")
    with web_server(tmp_path / "case", pictures, cache, catalog_url=url, busy_seconds=1.0) as web:
        owner: Person = web.account("examiner")
        client, browser = web.client(owner), web.browser_like(owner)
        job = web.job(owner, "Office", run=True)
        count = client.get(f"/api/v1/jobs/{job}").json()["pictures"]
        assert count > 0
        private.stop()
        for answer in (
            client.get("/api/v1/jobs"), client.get(f"/api/v1/jobs/{job}"), client.get("/ready"),
            client.get("/api/v1/me"), client.post(f"/api/v1/jobs/{job}/start"),
            client.post("/api/v1/jobs", json={"name": "x", "source": ""}),
            web.client().post("/auth/signin", json={"email": "a@example.org", "password": "x"}),
        ):  # fmt: skip
            busy(answer)
        assert browser.get("/jobs").status_code == 503
        assert client.get("/health").status_code == 200
        private.start()
        assert client.get("/ready").status_code == 200
        assert [one["id"] for one in client.get("/api/v1/jobs").json()] == [job]
        assert client.get(f"/api/v1/jobs/{job}").json()["pictures"] == count
        made = client.post("/api/v1/jobs", json={"name": "After", "source": "Holidays"})
        assert made.status_code == 201
        web.run_job(made.json()["id"])
        assert client.get(f"/api/v1/jobs/{made.json()['id']}").json()["pictures"] > 0


def test_a_page_to_sign_in_that_waits_for_the_accounts_holds_up_nobody(
    hurried: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are asked over the broker, and do not answer."""
    asked, answered = threading.Event(), threading.Event()
    policy = hurried.services.accounts.policy

    def slow() -> object:
        asked.set()
        assert answered.wait(60)
        return policy()

    monkeypatch.setattr(hurried.services.accounts, "policy", slow)
    page = {"accept": "text/html"}
    with ThreadPoolExecutor(1) as beside:
        refused = beside.submit(hurried.client().get, "/jobs", headers=page)
        assert asked.wait(60)
        try:
            assert hurried.client().get("/health").status_code == 200
        finally:
            answered.set()
        assert refused.result().status_code == 401
