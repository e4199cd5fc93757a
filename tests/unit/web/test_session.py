"""The browser's session: when it is renewed and when not, and many requests at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send
from tests.support.people import Town

from caseframe.catalog.database import open_sqlite
from caseframe.domain.errors import CatalogAway
from caseframe.domain.people import Client, Tokens
from caseframe.web.session import ACCESS, REFRESH, TROUBLE, BrowserSession, cookie_headers


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    catalog = open_sqlite(tmp_path / "catalog.sqlite")
    yield Town(catalog)
    catalog.close()


class Seen:
    """An application that remembers with which token it was asked."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await PlainTextResponse("fine")(scope, receive, send)

    @property
    def tokens(self) -> list[Any]:
        return [scope.get("caseframe.token") for scope in self.scopes]


async def ask(session: BrowserSession, path: str = "/", **cookies: str) -> list[str]:
    """The Set-Cookie values of one answer."""
    said: list[str] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            said.extend(v.decode() for k, v in message["headers"] if k == b"set-cookie")

    jar = "; ".join(f"{name}={value}" for name, value in cookies.items())
    scope = {
        "type": "http", "path": path, "method": "GET", "client": ("192.0.2.1", 1),
        "headers": [(b"cookie", jar.encode())],
    }  # fmt: skip
    await session(scope, receive, send)
    return said


def test_a_good_token_is_passed_on_and_nothing_is_renewed(town: Town) -> None:
    tokens, seen = town.tokens(), Seen()
    session = BrowserSession(seen, town.accounts, secure=False)
    said = asyncio.run(ask(session, **{ACCESS: tokens.access, REFRESH: tokens.refresh}))
    assert said == []
    assert seen.tokens == [tokens.access]


@pytest.mark.parametrize("access", ["", "nonsense", "a.b.c"])
def test_a_refresh_token_alone_brings_a_new_pair(town: Town, access: str) -> None:
    tokens, seen = town.tokens(), Seen()
    session = BrowserSession(seen, town.accounts, secure=True)
    said = asyncio.run(ask(session, **{ACCESS: access, REFRESH: tokens.refresh}))
    assert [value.partition("=")[0] for value in said] == [ACCESS, REFRESH]
    assert all("HttpOnly" in value and "Secure" in value for value in said)
    assert town.accounts.validate(seen.tokens[0]).email == "anna@example.org"


def test_thirty_requests_at_once_share_one_renewal(town: Town) -> None:
    """A page asks for dozens of pictures; the second use of a token would end the session."""
    tokens, seen = town.tokens(), Seen()
    session = BrowserSession(seen, town.accounts, secure=False)

    async def many() -> list[list[str]]:
        return await asyncio.gather(*(ask(session, **{REFRESH: tokens.refresh}) for _ in range(30)))

    said = asyncio.run(many())
    assert len({tuple(values) for values in said}) == 1
    assert len(set(seen.tokens)) == 1
    assert town.accounts.validate(seen.tokens[0]).email == "anna@example.org"


def test_an_ended_session_loses_its_cookies_and_is_nobody(town: Town) -> None:
    tokens, seen = town.tokens(), Seen()
    town.accounts.sign_out(town.accounts.validate(tokens.access))
    session = BrowserSession(seen, town.accounts, secure=False)
    said = asyncio.run(ask(session, **{REFRESH: tokens.refresh}))
    assert all("Max-Age=0" in value for value in said)
    assert len(said) == 2
    assert seen.tokens == [None]


def test_an_outage_keeps_the_cookies_and_tells_the_routes(town: Town) -> None:
    class Away:
        """Accounts whose catalog does not answer."""

        def refresh(self, token: str, client: Client) -> Tokens:
            raise CatalogAway("the catalog does not answer")

    seen = Seen()
    session = BrowserSession(seen, Away(), secure=False)  # type: ignore[arg-type]
    said = asyncio.run(ask(session, **{REFRESH: "x"}))
    assert said == []
    assert isinstance(seen.scopes[0][TROUBLE], CatalogAway)


def test_static_files_are_for_everybody_and_have_no_session(town: Town) -> None:
    tokens, seen = town.tokens(), Seen()
    session = BrowserSession(seen, town.accounts, secure=False)
    said = asyncio.run(ask(session, "/static/x.css", **{REFRESH: tokens.refresh}))
    assert said == []
    assert seen.tokens == [None]
    assert town.accounts.refresh(tokens.refresh, Client()).access


def test_an_answer_that_sets_its_own_session_is_left_alone(town: Town) -> None:
    tokens = town.tokens()

    async def signs_in(scope: Scope, receive: Receive, send: Send) -> None:
        answer = PlainTextResponse("in")
        answer.headers.append("set-cookie", f"{ACCESS}=its-own")
        await answer(scope, receive, send)

    session = BrowserSession(signs_in, town.accounts, secure=False)
    assert asyncio.run(ask(session, **{REFRESH: tokens.refresh})) == [f"{ACCESS}=its-own"]


def test_cookies_last_as_long_as_the_refresh_token(town: Town) -> None:
    for value in cookie_headers(town.tokens(), secure=False):
        assert "SameSite=Lax" in value
        assert "Path=/" in value
        assert "Domain" not in value
        assert "Secure" not in value
        (age,) = [part for part in value.split("; ") if part.startswith("Max-Age=")]
        assert 86_300 < int(age.partition("=")[2]) <= 86_400
