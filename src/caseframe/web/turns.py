"""Requests that change something take turns, so that those that only look find a free thread.

FastAPI runs all routes in 40 threads. A change may wait for the catalog, and 40 that wait would
leave nobody to answer anything else. So no more than `AT_ONCE` of them are in threads at a time;
the others wait in the event loop, which costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from fastapi import Depends, Request

from caseframe.domain.errors import CatalogBusy
from caseframe.web.security import SAFE_METHODS

AT_ONCE = 24
PATIENCE = 10.0
"""Seconds to wait for a turn before being told to come again."""
_OWN_ROOM = ("/vision/",)  # pictures have limits of their own, and stay for as long as they take


class Turns:
    """The turns of one application, for its event loop."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it. Raises CatalogBusy when there was none in time."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._places.acquire()
        except TimeoutError as error:
            raise CatalogBusy("too many changes wait for the catalog") from error
        try:
            yield
        finally:
            self._places.release()


async def _changing(request: Request) -> AsyncIterator[None]:
    async with _turn(request):
        yield


async def _by_method(request: Request) -> AsyncIterator[None]:
    free = request.method in SAFE_METHODS or request.url.path.startswith(_OWN_ROOM)
    async with nullcontext() if free else _turn(request):
        yield


def _turn(request: Request) -> AbstractAsyncContextManager[None]:
    turns: Turns = request.app.state.turns
    return turns.turn()


# A turn begins when the request's body is all here, and ends before the answer is sent: who sends
# or reads slowly holds up nobody.
Changing = Depends(_changing, scope="function")
"""For routes that change something although they are asked by GET."""
ByMethod = Depends(_by_method, scope="function")
"""For all routes: those that change something by their method take turns."""
