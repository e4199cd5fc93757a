"""One id follows a request from its answer's header into the logs and on to other services."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from structlog.contextvars import get_contextvars
from tests.support.web import WebServer

from caseframe.domain.correlation import HEADER, well_formed


def test_an_id_that_comes_is_kept_and_a_bad_one_replaced(web: WebServer) -> None:
    client = web.client()
    given = str(uuid.uuid4())
    assert client.get("/health", headers={HEADER: given}).headers[HEADER] == given
    made = [
        client.get("/health", headers={HEADER: bad}).headers[HEADER]
        for bad in ("", "x" * 129, "two words", "<script>", 'a"b', "a;b")
    ]
    made.append(client.get("/nothing/here").headers[HEADER])
    assert all(map(well_formed, made))
    assert len(set(made)) == len(made)


def test_it_stands_beside_a_mistake_of_ours(
    web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(type(web.services.manager), "stop", broken)
    person = web.account("examiner")
    client, job = web.client(person), web.job(person, "Office")
    answer = client.post(f"/api/v1/jobs/{job}/stop", headers={HEADER: "mine"})
    assert (answer.status_code, answer.headers[HEADER]) == (500, "mine")


def test_it_is_with_the_thread_that_answers(
    web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    manager = type(web.services.manager)
    before = manager.submit

    def submit(self: Any, *given: Any, **named: Any) -> None:
        seen.append(get_contextvars().get("correlation_id"))
        before(self, *given, **named)

    monkeypatch.setattr(manager, "submit", submit)
    person = web.account("examiner")
    job = web.job(person, "Office")
    client = web.client(person)
    assert client.post(f"/api/v1/jobs/{job}/start", headers={HEADER: "mine"}).status_code == 202
    assert seen == ["mine"]
    assert "correlation_id" not in get_contextvars()
