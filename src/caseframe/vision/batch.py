"""One streamed batch: answers in the order of the requests, a bounded number read ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from caseframe.domain.errors import VisionAway
from caseframe.vision import computer_vision_pb2 as pb
from caseframe.vision.protocol import WINDOW

_Answer = Callable[[int, pb.ImgProcRequest], Awaitable[pb.ImgProcResponse]]
_Task = asyncio.Task[pb.ImgProcResponse]


class Batch:
    """Reads a request only while fewer than WINDOW are unanswered, of `most_bytes` together.

    What the client has sent beyond that waits in the network's buffers, and then in the client:
    so memory does not grow with the length of the stream.
    """

    def __init__(self, answer: _Answer, most_bytes: int) -> None:
        self._answer = answer
        self._most_bytes = most_bytes
        self._begun: asyncio.Queue[_Task | None] = asyncio.Queue()
        self._tasks: dict[_Task, int] = {}
        self._room = asyncio.Condition()
        self._reader: asyncio.Task[None] | None = None
        self._stopped = False

    async def run(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Answer until the client has said all. Raises VisionAway when the service stops."""
        self._reader = asyncio.create_task(self._read(context))
        try:
            while (task := await self._begun.get()) is not None:
                await context.write(await task)
                await self._make_room(task)
            if self._stopped:
                raise VisionAway("the vision service is stopping")
            await self._reader
        finally:
            await self._abandon()

    def stop(self) -> None:
        """Read no more; answer what was read and is at work."""
        self._stopped = True
        if self._reader is not None:
            self._reader.cancel()

    async def _read(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        try:
            index = 0
            while True:
                await self._wait_for_room()
                request = await context.read()
                if request is grpc.aio.EOF:
                    return
                task = asyncio.ensure_future(self._answer(index, request))
                self._tasks[task] = len(request.image)
                self._begun.put_nowait(task)
                index += 1
        finally:
            self._begun.put_nowait(None)

    async def _wait_for_room(self) -> None:
        async with self._room:
            await self._room.wait_for(self._has_room)

    def _has_room(self) -> bool:
        return len(self._tasks) < WINDOW and sum(self._tasks.values()) < self._most_bytes

    async def _make_room(self, task: _Task) -> None:
        async with self._room:
            del self._tasks[task]
            self._room.notify_all()

    async def _abandon(self) -> None:
        """Nobody wants the rest: cancel it wherever it is."""
        left = [*self._tasks, *([self._reader] if self._reader else [])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self._tasks.clear()
