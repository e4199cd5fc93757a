"""The browser's session: two HttpOnly cookies, and their quiet renewal.

Access tokens are short-lived. When one has run out and the refresh token is still good, the request
goes on with a new pair, and the answer brings the cookies. A page asks for dozens of pictures at
once, and a refresh token works only once: those who come a moment later with the same one get the
same new pair.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from http.cookies import SimpleCookie

import jwt
from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from caseframe.accounts.accounts import Accounts
from caseframe.accounts.renewal import Renewals
from caseframe.domain.access import AccessError, AccountsAway, TokenRefused
from caseframe.domain.errors import CaseframeError
from caseframe.domain.people import Client, Tokens

ACCESS, REFRESH = "caseframe_access", "caseframe_refresh"
TROUBLE = "caseframe.trouble"
_COOKIES = "caseframe.cookies"
_SHARED = "/static/"
_EARLY = 20.0  # seconds before its end at which a token is renewed
# A renewal writes, and may wait for the catalog: in threads of their own they hold up no reader.
_RENEWED_AT_ONCE = 8


def client_of(scope: Scope) -> Client:
    """From where somebody asks, as their list of sessions shows it."""
    address = scope["client"][0] if scope.get("client") else ""
    return Client(address=address, user_agent=Headers(scope=scope).get("user-agent", "")[:200])


class BrowserSession:
    """Turns the cookies into `scope["caseframe.token"]`, renewing them when it is time."""

    def __init__(self, app: ASGIApp, accounts: Accounts, *, secure: bool) -> None:
        self._app = app
        self._secure = secure
        self._renewals = Renewals(accounts)
        self._threads = CapacityLimiter(_RENEWED_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; a session that ended loses its cookies.

        What cannot be asked now (a catalog that is away), and that a session is refused, is left in
        the scope for the routes that need to know who is there. Static files have no session:
        everybody's cache may keep them.
        """
        if scope["type"] != "http" or scope["path"].startswith(_SHARED):
            await self._app(scope, receive, send)
            return
        renewed = scope[_COOKIES] = await self._open(scope)

        async def with_cookies(message: Message) -> None:
            if message["type"] == "http.response.start" and renewed:
                headers = MutableHeaders(scope=message)
                if not any(v.startswith(ACCESS) for v in headers.getlist("set-cookie")):
                    for value in renewed:
                        headers.append("set-cookie", value)
            await send(message)

        await self._app(scope, receive, with_cookies)

    async def _open(self, scope: Scope) -> list[str]:
        """Put the access token into the scope; the cookies to send along with the answer."""
        cookies = cookie_parser(Headers(scope=scope).get("cookie", ""))
        access, refresh = cookies.get(ACCESS), cookies.get(REFRESH)
        scope["caseframe.token"] = access
        if refresh is None or _alive(access):
            return []
        try:
            tokens = await to_thread.run_sync(
                self._renewals.renew, refresh, client_of(scope), limiter=self._threads
            )
        except CaseframeError as error:
            scope[TROUBLE] = error
            if not isinstance(error, AccessError) or isinstance(error, AccountsAway):
                return []
            scope["caseframe.token"], scope[TROUBLE] = None, TokenRefused(str(error))
            return cookie_headers(None, secure=self._secure)
        scope["caseframe.token"] = tokens.access
        return cookie_headers(tokens, secure=self._secure)


def _alive(access: str | None) -> bool:
    """Whether a token says that it is good for a while; whether it is true is checked later."""
    if not access:
        return False
    try:
        claims = jwt.decode(access, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return False
    ends = claims.get("exp")
    return isinstance(ends, int) and ends > time.time() + _EARLY


def cookie_headers(tokens: Tokens | None, *, secure: bool) -> list[str]:
    """Values of Set-Cookie for a session; None takes the cookies away."""
    if tokens is None:
        return [_cookie(name, "", 0, secure=secure) for name in (ACCESS, REFRESH)]
    seconds = max(0, int((tokens.refresh_expires_at - datetime.now(UTC)).total_seconds()))
    return [
        _cookie(ACCESS, tokens.access, seconds, secure=secure),
        _cookie(REFRESH, tokens.refresh, seconds, secure=secure),
    ]


def forget_session(scope: Scope, *, secure: bool) -> None:
    """Have the answer take the cookies away: what they hold is refused."""
    scope[_COOKIES][:] = cookie_headers(None, secure=secure)


def with_session(response: Response, tokens: Tokens | None, *, secure: bool) -> Response:
    """The answer with the cookies of a session; None takes them away."""
    for value in cookie_headers(tokens, secure=secure):
        response.headers.append("set-cookie", value)
    return response


def _cookie(name: str, value: str, seconds: int, *, secure: bool) -> str:
    cookie: SimpleCookie = SimpleCookie()
    cookie[name] = value
    morsel = cookie[name]
    morsel["httponly"] = True
    morsel["samesite"] = "Lax"
    morsel["path"] = "/"
    morsel["secure"] = secure
    morsel["max-age"] = seconds
    return morsel.OutputString()
