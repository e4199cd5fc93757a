"""Whose turn it is: a bounded number at work, the others in a line, first come first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from caseframe.domain.errors import VisionAway, VisionBusy

_STOPPING = "the vision service is stopping"


class Turns:
    """Lets `at_work` callers in at once. For one event loop."""

    def __init__(self, at_work: int, waiting_bytes: int) -> None:
        self._most = at_work
        self._room = waiting_bytes
        self._line: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self.at_work = 0

    @property
    def waiting(self) -> int:
        """How many stand in the line."""
        return len(self._line)

    @asynccontextmanager
    async def take(self, size: int, seconds: float | None) -> AsyncIterator[None]:
        """Wait for a turn and hold it. `size` is what the caller keeps in memory, in bytes.

        Raises VisionBusy after `seconds`, or at once when those that wait hold all the memory that
        is meant for them; VisionAway when the line is closed. With None it waits however long, and
        the caller bounds the memory itself.
        """
        if self._closed:
            raise VisionAway(_STOPPING)
        if self.at_work < self._most and not self._line:
            self.at_work += 1
        else:
            await self._queue(size, seconds)
        try:
            yield
        finally:
            self._pass_on()

    async def _queue(self, size: int, seconds: float | None) -> None:
        held = 0 if seconds is None else size
        if held > self._room:
            raise VisionBusy("too many pictures wait for the vision service; try again later")
        self._room -= held
        turn = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._pass_on()  # given to us at the moment when we went away
            if isinstance(error, TimeoutError):
                raise VisionBusy(
                    f"{self._most} pictures are at work and others wait; try again later"
                ) from error
            raise
        finally:
            self._room += held
            with suppress(ValueError):
                self._line.remove(turn)

    def _pass_on(self) -> None:
        """Give our place to the first in the line, or leave it free."""
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.at_work -= 1

    def close(self) -> None:
        """Send away all that wait, and all that come; those at work go on."""
        self._closed = True
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_exception(VisionAway(_STOPPING))
