"""How many bytes of pictures a worker holds at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Share:
    """What one picture takes of a budget."""

    def __init__(self, size: int) -> None:
        self.size = size


class Budget:
    """Lets pictures in as long as they fit, in the order in which they ask. For one event loop.

    One that is larger than all of it has it for itself.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._shares: set[Share] = set()
        self._turn = asyncio.Lock()  # else small ones would pass a large one by for ever
        self._changed = asyncio.Event()

    @property
    def held(self) -> int:
        """All shares together."""
        return sum(share.size for share in self._shares)

    @asynccontextmanager
    async def share(self, size: int | None) -> AsyncIterator[Share]:
        """Room for so many bytes while the block lasts; for all there is where nobody knows."""
        share = Share(self._most if size is None else size)
        async with self._turn:
            while self._shares and self.held + share.size > self._most:
                self._changed.clear()
                await self._changed.wait()
            self._shares.add(share)
        try:
            yield share
        finally:
            self._shares.discard(share)
            self._changed.set()

    def correct(self, share: Share, size: int) -> None:
        """It turned out to be of another size."""
        share.size = size
        self._changed.set()
