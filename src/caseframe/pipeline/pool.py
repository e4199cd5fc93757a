"""A local runner for event loops: one order goes in, its outcome is waited for."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator

from caseframe.domain.errors import CaseframeError
from caseframe.domain.text import one_line
from caseframe.domain.work import Order, Outcome
from caseframe.pipeline.local import LocalRunner

_END = object()


class OrderPool:
    """Feeds a `LocalRunner` from an event loop. Orders' paths must be unique while under way."""

    def __init__(self, runner: LocalRunner) -> None:
        self._runner = runner
        self._orders: queue.SimpleQueue[Order | object] = queue.SimpleQueue()
        self._waiting: dict[bytes, tuple[asyncio.AbstractEventLoop, asyncio.Future[Outcome]]] = {}
        self._thread = threading.Thread(target=self._work, name="pool", daemon=True)
        self.reason: str | None = None
        """Why no order can be done any more; None while all is well."""

    def start(self) -> None:
        """Begin. Raises CaseframeError when no worker can be started."""
        self._runner.start()
        self._thread.start()

    async def do(self, order: Order) -> Outcome:
        """Have one order carried out. Raises CaseframeError when the pool has ended."""
        if self.reason is not None:
            raise CaseframeError(self.reason)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._waiting[order.path] = loop, future
        self._orders.put(order)
        self._runner.wake()
        return await future

    def close(self) -> None:
        """End; orders under way are given up."""
        self._orders.put(_END)
        self._runner.wake()
        self._runner.close()
        self._thread.join(10)

    def _source(self) -> Iterator[Order | None]:
        while True:
            try:
                order = self._orders.get_nowait()
            except queue.Empty:
                yield None
                continue
            if not isinstance(order, Order):
                return
            yield order

    def _work(self) -> None:
        try:
            for outcome in self._runner.run(self._source()):
                self._tell(outcome)
        except Exception as error:  # noqa: BLE001 - the boundary of the pool: told to all who wait
            said = str(error) if isinstance(error, CaseframeError) else repr(error)
            self.reason = f"the worker processes ended: {one_line(said)}"
        finally:
            self.reason = self.reason or "the worker processes were stopped"
            for path in list(self._waiting):
                self._fail(path, self.reason)

    def _tell(self, outcome: Outcome) -> None:
        loop, future = self._waiting.pop(outcome.order.path)
        loop.call_soon_threadsafe(_set, future, outcome)

    def _fail(self, path: bytes, reason: str) -> None:
        loop, future = self._waiting.pop(path)
        if not loop.is_closed():
            loop.call_soon_threadsafe(_break, future, reason)


def _set(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)


def _break(future: asyncio.Future[Outcome], reason: str) -> None:
    if not future.done():
        future.set_exception(CaseframeError(reason))
