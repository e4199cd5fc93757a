"""A local runner for event loops: one order goes in, its outcome is waited for.

A runner that fails is begun again: whatever the reason was, the next order may fare better.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator

from caseframe.domain.errors import CaseframeError, ServiceAway
from caseframe.domain.text import one_line
from caseframe.domain.work import Order, Outcome
from caseframe.pipeline.local import LocalRunner

_END = object()
_PAUSE_SECONDS = 1.0
_STOPPED = "the worker processes were stopped"


class OrderPool:
    """Feeds a `LocalRunner` from an event loop. Orders' paths must be unique while under way."""

    def __init__(self, runner: LocalRunner) -> None:
        self._runner = runner
        self._orders: queue.SimpleQueue[Order | object] = queue.SimpleQueue()
        self._waiting: dict[bytes, tuple[asyncio.AbstractEventLoop, asyncio.Future[Outcome]]] = {}
        self._under_way: set[bytes] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pool", daemon=True)
        self.reason: str | None = None
        """Why no order can be done now; None while all is well."""

    def start(self) -> None:
        """Begin. Raises CaseframeError when no worker can be started."""
        self._runner.start()
        self._thread.start()

    async def do(self, order: Order) -> Outcome:
        """Have one order carried out.

        Raises ServiceAway when the workers cannot be started now or the pool has ended; the order
        is not to blame then. Raises CaseframeError when the runner itself failed.
        """
        if self._over.is_set():
            raise ServiceAway(self.reason or _STOPPED)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._waiting[order.path] = loop, future
        self._orders.put(order)
        self._runner.wake()
        return await future

    def close(self) -> None:
        """End; orders under way are given up."""
        self._over.set()
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
            self._under_way.add(order.path)
            yield order

    def _work(self) -> None:
        while not self._over.is_set():
            self._carry_out()
            self._over.wait(_PAUSE_SECONDS)
        self.reason = self.reason or _STOPPED
        for path in list(self._waiting):
            self._fail(path, ServiceAway(self.reason))

    def _carry_out(self) -> None:
        """Do orders until the runner fails; then those that it had fail, and the others wait."""
        try:
            for outcome in self._runner.run(self._source()):
                self.reason = None
                self._tell(outcome)
        except Exception as error:  # noqa: BLE001 - the boundary of a run: told to those who wait
            ours = isinstance(error, CaseframeError)
            said = one_line(str(error) if ours else repr(error))
            self.reason = f"the worker processes ended: {said}"
            kind = ServiceAway if ours else CaseframeError
            for path in tuple(self._under_way):
                self._fail(path, kind(self.reason))

    def _tell(self, outcome: Outcome) -> None:
        self._under_way.discard(outcome.order.path)
        loop, future = self._waiting.pop(outcome.order.path)
        loop.call_soon_threadsafe(_set, future, outcome)

    def _fail(self, path: bytes, error: CaseframeError) -> None:
        self._under_way.discard(path)
        loop, future = self._waiting.pop(path)
        if not loop.is_closed():
            loop.call_soon_threadsafe(_break, future, error)


def _set(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)


def _break(future: asyncio.Future[Outcome], error: CaseframeError) -> None:
    if not future.done():
        future.set_exception(error)
