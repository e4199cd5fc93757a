"""Gives every request the id by which its way through the services can be followed."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from caseframe.domain.correlation import HEADER, LOGGED, new_id, well_formed

NUMBER = "caseframe.correlation"


class Correlated:
    """Takes over the caller's id, or makes one; logs, other services and the answer carry it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; threads that work for the request inherit what is bound here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        number = given if well_formed(given) else new_id()

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = number
            await send(message)

        scope[NUMBER] = number  # for the answer to a mistake of ours, which is made outside of this
        with bound_contextvars(**{LOGGED: number}):
            await self._app(scope, receive, marked)
