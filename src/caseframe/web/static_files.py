"""Our own scripts and styles, and the browser libraries that were bundled at build time."""

from __future__ import annotations

from importlib.resources import files

from starlette.datastructures import MutableHeaders
from starlette.staticfiles import StaticFiles as Starlettes
from starlette.types import Message, Receive, Scope, Send

_FOREVER = "public, max-age=31536000, immutable"
_ASK = "no-cache"


class StaticFiles(Starlettes):
    """Files below `static/`. An address with a version may be kept for ever, others not."""

    def __init__(self) -> None:
        super().__init__(directory=str(files("caseframe.web") / "static"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one file."""
        kept = _FOREVER if scope.get("query_string", b"").startswith(b"v=") else _ASK

        async def with_age(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = message["status"] in {200, 304}
                MutableHeaders(scope=message)["cache-control"] = kept if found else _ASK
            await send(message)

        await super().__call__(scope, receive, with_age)
