"""A bounded room: who does not fit waits in line for a while, and is then sent away."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from caseframe.domain.errors import VisionBusy

_LINE = 512  # beyond that nobody is asked to wait


class Room:
    """Lets callers in as long as their sizes fit together, in the order in which they came.

    For one event loop. Who is larger than the room has it alone.
    """

    def __init__(self, size: int, patience: float, line: int = _LINE) -> None:
        self._size = self._free = size
        self._patience = patience
        self._most = line
        self._line: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def take(self, size: int = 1) -> AsyncIterator[None]:
        """Wait for a place and hold it.

        Raises VisionBusy when there was none in time, or when too many wait already.
        """
        size = min(size, self._size)
        if self._line or size > self._free:
            await self._wait(size)
        else:
            self._free -= size
        try:
            yield
        finally:
            self._free += size
            self._admit()

    async def _wait(self, size: int) -> None:
        if len(self._line) >= self._most:
            raise VisionBusy("too many pictures wait to be described; try again later")
        turn = asyncio.get_running_loop().create_future()
        self._line.append((size, turn))
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # let in at the moment when we gave up
                self._free += size
            self._line = deque(one for one in self._line if one[1] is not turn)
            self._admit()
            if isinstance(error, TimeoutError):
                raise VisionBusy("many pictures are being described; try again later") from error
            raise

    def _admit(self) -> None:
        while self._line and self._line[0][0] <= self._free:
            size, turn = self._line.popleft()
            if not turn.done():
                self._free -= size
                turn.set_result(None)
