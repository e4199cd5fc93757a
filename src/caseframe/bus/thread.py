"""An event loop in a thread of its own, for parts of the program that wait the ordinary way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from caseframe.domain.errors import BrokerAway

T = TypeVar("T")
_JOIN_SECONDS = 30.0


class LoopThread:
    """Runs coroutines for other threads. Safe to use from many of them."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine there. Raises BrokerAway when the loop has ended."""
        if self._loop.is_closed() or not self._thread.is_alive():
            work.close()
            raise BrokerAway("the connection to RabbitMQ was closed")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
        """Run a coroutine there and wait. Raises what it raises; BrokerAway when it is too late."""
        future = self.begin(work)
        try:
            return future.result(seconds)
        except TimeoutError as error:
            future.cancel()
            raise BrokerAway("RabbitMQ did not answer in time") from error
        except CancelledError as error:  # by the library at a loss, or by the end of the loop
            raise BrokerAway("the connection to RabbitMQ ended meanwhile") from error

    def soon(self, function: Any, *arguments: Any) -> None:
        """Have a plain function called there."""
        self._loop.call_soon_threadsafe(function, *arguments)

    def close(self) -> None:
        """End the loop; what still runs in it is cancelled."""
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_JOIN_SECONDS)
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        if pending:
            self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self._loop.close()
