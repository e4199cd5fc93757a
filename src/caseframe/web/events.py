"""Progress for those who watch: computed once for all listeners of a job, sent as SSE."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog
from anyio import to_thread

from caseframe.domain.errors import CaseframeError

Snapshot = dict[str, Any]
_log = structlog.get_logger(__name__)
_EVERY = 1.0
_HEARTBEATS = 15  # rounds without news after which a comment keeps the connection open
_WAITING = 8  # snapshots that a slow listener may be behind; older ones are dropped, they are stale


class _Topic:
    def __init__(self) -> None:
        self.listeners: set[asyncio.Queue[str | None]] = set()
        self.last: str | None = None
        self.task: asyncio.Task[None] | None = None


class Broadcaster:
    """Asks for a job's progress once a second while anybody listens, and tells all of them."""

    def __init__(self, snapshot: Callable[[str], Snapshot], every: float = _EVERY) -> None:
        self._snapshot = snapshot
        self._every = every
        self._topics: dict[str, _Topic] = {}
        self._closed = False

    async def listen(self, job_id: str) -> AsyncIterator[str]:
        """Lines of an event stream for one listener; the first at once, the whole truth in each."""
        topic = self._topics.setdefault(job_id, _Topic())
        queue: asyncio.Queue[str | None] = asyncio.Queue(_WAITING)
        topic.listeners.add(queue)
        if topic.task is None:
            topic.task = asyncio.create_task(self._tell(job_id, topic))
        elif topic.last is not None:
            queue.put_nowait(topic.last)
        try:
            while not self._closed and (event := await queue.get()) is not None:
                yield event
        finally:
            topic.listeners.discard(queue)
            if not topic.listeners and topic.task is not None:
                topic.task.cancel()
                self._topics.pop(job_id, None)

    def close(self) -> None:
        """End all streams, so that the server can end."""
        self._closed = True
        for topic in tuple(self._topics.values()):  # whose listeners may be leaving just now
            for queue in tuple(topic.listeners):
                _push(queue, None)

    async def _tell(self, job_id: str, topic: _Topic) -> None:
        quiet = 0
        while not self._closed:
            event = await to_thread.run_sync(self._event, job_id)
            quiet = 0 if event != topic.last else quiet + 1
            if event != topic.last:
                topic.last = event
            elif quiet % _HEARTBEATS:
                event = ""
            else:
                event = ": still here\n\n"
            if event:
                for queue in tuple(topic.listeners):
                    _push(queue, event)
            await asyncio.sleep(self._every)

    def _event(self, job_id: str) -> str:
        try:
            data = json.dumps(self._snapshot(job_id), separators=(",", ":"))
        except CaseframeError as error:
            data = json.dumps({"error": error.public})
            return f"event: trouble\ndata: {data}\n\n"
        return f"event: progress\ndata: {data}\n\n"


def _push(queue: asyncio.Queue[str | None], event: str | None) -> None:
    while queue.full():
        queue.get_nowait()
    queue.put_nowait(event)
