"""What holds for every request and every answer, whatever route it takes.

These are plain ASGI middlewares: they see the bytes before anything is parsed.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LINGER = 5.0
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:{tiles}; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
"""Policy for evidence that is sent as it is: whatever it is, it may do nothing."""


def content_policy(tile_url: str | None = None) -> str:
    """The policy of our own pages; only a tile server that was configured may be asked too."""
    parts = urlsplit(tile_url or "")
    tiles = f" {parts.scheme}://{parts.netloc.replace('{s}', '*')}" if parts.netloc else ""
    return _POLICY.format(tiles=tiles)


BARE = {
    "content-security-policy": content_policy(),
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
"""For the answer to a mistake of ours, which no middleware sees."""


class SecurityHeaders:
    """Adds the headers that keep a browser from being turned against its user."""

    def __init__(self, app: ASGIApp, policy: str, *, secure: bool) -> None:
        self._app = app
        self._headers = {
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(), microphone=(), geolocation=()",
        }
        if secure:
            self._headers["strict-transport-security"] = "max-age=31536000"
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the headers put on the answer; a route's own policy stays."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("content-security-policy", self._policy)
                # What people see of a case is theirs alone; static files say otherwise themselves.
                headers.setdefault("cache-control", "no-store")
                for name, value in self._headers.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, with_headers)


class SameOriginOnly:
    """Refuses what another site makes a browser send (cross-site request forgery).

    Browsers say where a request comes from, in Sec-Fetch-Site or Origin, and scripts cannot change
    that. A request that changes something and carries our cookie must come from our own pages.
    Clients that send a token in a header cannot be forged by another site.
    """

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self._app = app
        self._origin = origin_of(public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 403."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self._foreign(headers, scope["scheme"]):
            said = "this request came from another site and was refused; use the page itself"
            answer = {"error": {"code": "cross-site", "message": said}}
            await JSONResponse(answer, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _foreign(self, headers: Headers, scheme: str) -> bool:
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if origin is not None and origin not in {self._origin, f"{scheme}://{headers.get('host')}"}:
            return True
        if site is not None:
            return site not in {"same-origin", "none"}
        return origin is None and "cookie" in headers


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL as a browser writes them in Origin."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class BodyLimit:
    """Ends a request whose body is larger than allowed, before it is all here."""

    def __init__(self, app: ASGIApp, most: int, most_json: int, files: tuple[str, ...]) -> None:
        self._app = app
        self._most = most
        self._most_json = most_json
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 413."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        most = self._most if scope["path"].startswith(self._files) else self._most_json
        channel = _Channel(receive, send, most)
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) <= most:
            try:
                await self._app(scope, channel.receive, channel.send)
            except Exception:  # what a parser makes of a request that was cut off
                if not channel.refused:
                    raise
            if channel.started or not channel.refused:
                return
        channel.refused = False
        said = f"the request is larger than the {most} bytes that are allowed"
        answer = JSONResponse({"error": {"code": "too-large", "message": said}}, 413)
        answer.headers["connection"] = "close"
        await answer(scope, channel.receive, channel.send)


class _Channel:
    """One request's channel: cut off when too much came, and then deaf to the route's answer.

    Most clients read an answer only when they have sent everything, and lose it when the connection
    ends under them. So an answer that comes before the end of the request is sent at once, and
    ended when the rest has come and was thrown away, or after `_LINGER` seconds.
    """

    def __init__(self, receive: Receive, send: Send, most: int) -> None:
        self._receive = receive
        self._send = send
        self._left = most
        self._ended = False
        self.refused = False
        self.started = False

    async def receive(self) -> Message:
        message = await self._next()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.refused = True
            return {"type": "http.disconnect"}
        return message

    async def _next(self) -> Message:
        message = await self._receive()
        self._ended = not message.get("more_body")
        return message

    async def send(self, message: Message) -> None:
        if self.refused:
            return
        self.started = True
        last = message["type"] == "http.response.body" and not message.get("more_body")
        if last and not self._ended:
            await self._send({**message, "more_body": True})
            with suppress(TimeoutError):
                async with asyncio.timeout(_LINGER):
                    while not self._ended:
                        await self._next()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)


class ClientAddress:
    """Puts the address of who asks into the scope; a proxy's word counts only if it is trusted."""

    def __init__(self, app: ASGIApp, trusted: tuple[IPv4Network | IPv6Network, ...]) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on with `scope["client"]` set right."""
        if scope["type"] == "http" and scope.get("client") and self._trusted:
            scope["client"] = (self._behind(scope), scope["client"][1])
        await self._app(scope, receive, send)

    def _behind(self, scope: Scope) -> str:
        """The last address in the chain that no trusted proxy of ours vouches for itself."""
        address: str = scope["client"][0]
        chain = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
        for claimed in reversed([part.strip() for part in chain if part.strip()]):
            if not self._trusts(address) or _address(claimed) is None:
                break
            address = claimed
        return address

    def _trusts(self, address: str) -> bool:
        found = _address(address)
        return found is not None and any(found in net for net in self._trusted)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address; of one that was IPv4 before a socket for both took it, the IPv4 one."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
