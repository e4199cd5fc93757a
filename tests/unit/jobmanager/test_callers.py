"""What the metadata of a call says, and which tokens open what."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.people import SECRET, Town

from caseframe.accounts.tokens import (
    TokenMint,
    make_service_token,
    make_task_token,
    read_service_token,
    read_task_token,
    says_task,
)
from caseframe.catalog import jobs
from caseframe.catalog.database import open_sqlite
from caseframe.domain.access import TokenRefused
from caseframe.domain.errors import NotFound, UsageError
from caseframe.jobmanager.callers import Asked, Doorkeeper, asked

HOUR = timedelta(hours=1)
MINT = TokenMint(SECRET)


@pytest.mark.parametrize("said", ["abc", "Bearer abc", "bearer   abc ", " abc "])
def test_a_token_comes_with_or_without_its_scheme(said: str) -> None:
    found = asked([("x-correlation-id", "1"), ("authorization", said), ("other-bin", b"\0")])
    assert (found.correlation_id, found.token) == ("1", "abc")
    assert "abc" not in repr(found)


@pytest.mark.parametrize("number", ["", " ", "a b", "x" * 129, "a\nb"])
def test_a_call_needs_an_id(number: str) -> None:
    with pytest.raises(UsageError, match="x-correlation-id"):
        asked([("x-correlation-id", number), ("authorization", "abc")])


@pytest.mark.parametrize("said", ["", "Bearer", "Bearer ", "  "])
def test_a_call_needs_a_token(said: str) -> None:
    with pytest.raises(TokenRefused):
        asked([("x-correlation-id", "1"), ("authorization", said)])


def test_a_services_token_is_no_other() -> None:
    token = make_service_token(MINT, "gateway", HOUR)
    assert read_service_token(MINT, token) == "gateway"
    with pytest.raises(TokenRefused):
        read_task_token(MINT, token)
    for other in (make_task_token(MINT, "x", HOUR), make_service_token(MINT, "gateway", -HOUR)):
        with pytest.raises(TokenRefused):
            read_service_token(MINT, other)


def test_what_a_token_says_of_itself() -> None:
    assert says_task(make_task_token(MINT, "x", HOUR))
    for other in (make_service_token(MINT, "x", HOUR), "", "a.b.c", "x", "é.é.é", "[" * 9000):
        assert not says_task(other)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with closing(open_sqlite(tmp_path / "catalog.sqlite")) as catalog:
        made = Town(catalog)
        yield made
        made.close()


@pytest.mark.parametrize(
    ("source", "opens"),
    [
        (b"/srv/sources", {b"a.jpg", b"case/a.jpg", b"case/b/a.jpg", b"cases/a.jpg"}),
        (b"/srv/sources/case", {b"case/a.jpg", b"case/b/a.jpg"}),
        (b"/srv/sources/case/b", {b"case/b/a.jpg"}),
        (b"/srv", set()),
        (b"/elsewhere/case", set()),
    ],
)
def test_a_job_opens_what_lies_in_its_folder(town: Town, source: bytes, opens: set[bytes]) -> None:
    with town.catalog.begin() as connection:
        job = jobs.create_job(connection, "A job", source, ()).id
    door = Doorkeeper(town.catalog, town.accounts, town.local.mint, b"/srv/sources")
    asks = Asked("1", make_task_token(town.local.mint, job, HOUR))
    for path in (b"a.jpg", b"case/a.jpg", b"case/b/a.jpg", b"cases/a.jpg", b"case", b"",
                 b"/srv/sources/case/a.jpg", b"case/../cases/a.jpg", b"x/" * 9000):  # fmt: skip
        if path in opens or (path == b"case" and source == b"/srv/sources"):
            door.check_read(asks, path)
        else:
            with pytest.raises(NotFound):
                door.check_read(asks, path)
    gone = Asked("1", make_task_token(town.local.mint, str(uuid.uuid4()), HOUR))
    with pytest.raises(NotFound):
        door.check_read(gone, b"case/a.jpg")
