"""The middlewares: limits of bodies, requests of other sites, addresses behind proxies, headers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from caseframe.web.security import (
    BodyLimit,
    ClientAddress,
    SameOriginOnly,
    SecurityHeaders,
    content_policy,
)

App = Callable[[Scope, Receive, Send], Awaitable[None]]


def scope(method: str = "POST", path: str = "/", **headers: str) -> dict[str, Any]:
    named = [(k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items()]
    return {
        "type": "http", "method": method, "path": path, "scheme": "http", "headers": named,
        "query_string": b"", "client": ("192.0.2.9", 1234),
    }  # fmt: skip


class Sent:
    """One request's two ends: pieces go in, messages come out."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.messages: list[Message] = []

    async def receive(self) -> Message:
        if not self.pieces:
            return {"type": "http.disconnect"}
        piece = self.pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces)}

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    def to(self, app: App, asked: dict[str, Any]) -> Sent:
        async def answer() -> None:
            await app(asked, self.receive, self.send)

        asyncio.run(answer())
        return self

    @property
    def status(self) -> int:
        (start,) = [m for m in self.messages if m["type"] == "http.response.start"]
        return int(start["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {k.decode(): v.decode() for k, v in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.messages[1:])


async def counts(asked: Scope, receive: Receive, send: Send) -> None:
    """An application that reads everything and says how much it was."""
    body = await Request(asked, receive).body()
    await PlainTextResponse(str(len(body)))(asked, receive, send)


async def reads_nothing(asked: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("done", 401)(asked, receive, send)


LIMIT = BodyLimit(counts, 100, 10, ("/files",))


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [("/", 10, 200), ("/", 11, 413), ("/files", 100, 200), ("/files", 101, 413), ("/", 0, 200)],
)
def test_a_body_up_to_the_limit_of_its_kind(path: str, size: int, status: int) -> None:
    declared = Sent(b"x" * size).to(LIMIT, scope(path=path, content_length=str(size)))
    assert declared.status == status
    pieces = [b"x"] * size or [b""]
    told_nothing = Sent(*pieces).to(LIMIT, scope(path=path))
    assert told_nothing.status == status
    if status == 200:
        assert told_nothing.body == str(size).encode()
    else:
        assert b"too-large" in told_nothing.body
        assert told_nothing.headers["connection"] == "close"


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "1_000", "٣", ""])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    asked = scope()
    asked["headers"] = [(b"content-length", length.encode())]
    assert Sent(b"x").to(LIMIT, asked).status == 413


def test_what_comes_after_an_early_answer_is_read_and_thrown_away() -> None:
    """Else the client, which is still sending, loses the answer with the connection."""
    sent = Sent(*[b"x"] * 50)
    sent.to(BodyLimit(reads_nothing, 100, 100, ()), scope())
    assert sent.status == 401
    assert sent.body == b"done"
    assert sent.pieces == []
    assert [m.get("more_body", False) for m in sent.messages[1:]] == [True, False]


def test_an_application_cannot_answer_a_request_that_was_cut_off() -> None:
    async def stubborn(asked: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(ClientDisconnect):
            await Request(asked, receive).body()
        await PlainTextResponse("fine", 200)(asked, receive, send)

    sent = Sent(*[b"x" * 8] * 5).to(BodyLimit(stubborn, 10, 10, ()), scope())
    assert sent.status == 413


def test_a_mistake_of_the_application_is_not_taken_for_a_large_body() -> None:
    async def broken(asked: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("a mistake")

    with pytest.raises(KeyError):
        Sent(b"x").to(BodyLimit(broken, 10, 10, ()), scope())


SITE = SameOriginOnly(counts, "https://case.example.org")
COOKIE = {"cookie": "caseframe_access=x"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://case.example.org", **COOKIE}, 200),
        ({"origin": "http://case.internal:3000", "host": "case.internal:3000", **COOKIE}, 200),
        ({"sec_fetch_site": "same-origin", **COOKIE}, 200),
        ({"sec_fetch_site": "none", **COOKIE}, 200),
        ({"authorization": "Bearer x"}, 200),
        ({}, 200),
        (COOKIE, 403),
        ({"origin": "null", **COOKIE}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "https://case.example.org.evil.example", **COOKIE}, 403),
        ({"origin": "http://case.example.org", **COOKIE}, 403),
        ({"origin": "https://case.example.org:444", **COOKIE}, 403),
        ({"origin": "https://case.example.org", "sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site", **COOKIE}, 403),
        ({"sec_fetch_site": "cross-site", "authorization": "Bearer x"}, 403),
        ({"referer": "https://case.example.org/", **COOKIE}, 403),
    ],
)
def test_only_our_own_pages_change_something(headers: dict[str, str], status: int) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert Sent(b"").to(SITE, scope(method, **headers)).status == status
    assert Sent(b"").to(SITE, scope("GET", **headers)).status == 200


PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))


@pytest.mark.parametrize(
    ("peer", "chain", "seen"),
    [
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "203.0.113.5, 10.0.0.2", "203.0.113.5"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("::ffff:10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("2001:db8::1", "2001:db9::7", "2001:db9::7"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5, nonsense", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5:8080", "10.0.0.1"),
        ("10.0.0.1", " , ,203.0.113.5, ", "203.0.113.5"),
    ],
)
def test_the_address_behind_proxies(peer: str, chain: str, seen: str) -> None:
    found = []

    async def app(asked: Scope, receive: Receive, send: Send) -> None:
        found.append(asked["client"][0])

    asked = {**scope(x_forwarded_for=chain), "client": (peer, 1)}
    Sent().to(ClientAddress(app, PROXIES), asked)
    assert found == [seen]
    Sent().to(ClientAddress(app, ()), {**scope(x_forwarded_for=chain), "client": (peer, 1)})
    assert found[1] == peer


def test_a_chain_in_several_headers_is_one_chain() -> None:
    found = []

    async def app(asked: Scope, receive: Receive, send: Send) -> None:
        found.append(asked["client"][0])

    asked = {**scope(), "client": ("10.0.0.1", 1)}
    asked["headers"] = [(b"x-forwarded-for", b"198.51.100.1"), (b"x-forwarded-for", b"203.0.113.5")]
    Sent().to(ClientAddress(app, PROXIES), asked)
    assert found == ["203.0.113.5"]


def test_headers_of_every_answer_and_a_policy_of_its_own() -> None:
    async def own(asked: Scope, receive: Receive, send: Send) -> None:
        headers = {"content-security-policy": "sandbox", "x-content-type-options": "no"}
        await PlainTextResponse("x", headers=headers)(asked, receive, send)

    plain = Sent(b"").to(SecurityHeaders(counts, content_policy(), secure=False), scope("GET"))
    assert "script-src 'self'" in plain.headers["content-security-policy"]
    assert "unsafe" not in plain.headers["content-security-policy"]
    assert plain.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in plain.headers
    kept = Sent(b"").to(SecurityHeaders(own, content_policy(), secure=True), scope("GET"))
    assert kept.headers["content-security-policy"] == "sandbox"
    assert kept.headers["x-content-type-options"] == "nosniff"
    assert "strict-transport-security" in kept.headers


@pytest.mark.parametrize(
    ("tiles", "host"),
    [
        ("https://tiles.example.org/{z}/{x}/{y}.png", " https://tiles.example.org;"),
        ("https://{s}.example.org/{z}/{x}/{y}.png", " https://*.example.org;"),
        (None, " data: blob:;"),
        ("", " data: blob:;"),
    ],
)
def test_only_a_configured_tile_server_may_be_asked(tiles: str | None, host: str) -> None:
    policy = content_policy(tiles)
    assert host in policy
    assert policy.count("https://") == (1 if tiles else 0)
