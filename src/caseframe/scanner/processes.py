"""A pool of processes that outlives the death of any of them, whatever that one was doing.

Pebble replaces a process that dies at work. One that dies while none is at work breaks its whole
pool for good; then a new pool takes its place here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any

from pebble import ProcessPool

_STOP_SECONDS = 10
_MOST_IN_A_ROW = 3  # processes that die as they start would be started for ever


class Processes:
    """Runs functions in the pools that `make` makes, one pool at a time. Safe for threads."""

    def __init__(self, make: Callable[[], ProcessPool]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._pool = make()
        self._out: set[Future[Any]] = set()
        self._ending: threading.Thread | None = None
        self._broken = 0  # pools in a row that did nothing
        self._closed = False

    def start(self) -> None:
        """Start the processes now. Raises BrokenProcessPool when they cannot be started."""
        with self._lock:
            if not self._pool.active:
                self._renew()
                _ = self._pool.active  # a pool that was not used yet starts when it is asked

    def schedule(
        self, function: Callable[..., Any], arguments: Sequence[Any], seconds: float
    ) -> Future[Any]:
        """Have a process call a function; one that takes longer than `seconds` is ended.

        The future fails with BrokenProcessPool when its pool broke before anybody was at it: then
        schedule it again. Raises BrokenProcessPool when no process can be started, when one pool
        after the other broke and nothing was done between, and after `close`.
        """
        with self._lock:
            try:
                future = self._scheduled(function, arguments, seconds)
            except RuntimeError:
                self._renew()
                future = self._scheduled(function, arguments, seconds)
        future.add_done_callback(self._note)
        return future

    def _scheduled(
        self, function: Callable[..., Any], arguments: Sequence[Any], seconds: float
    ) -> Future[Any]:
        future: Future[Any] = self._pool.schedule(function, args=arguments, timeout=seconds)
        out = self._out
        out.add(future)
        future.add_done_callback(out.discard)
        return future

    def _renew(self) -> None:
        if self._closed:
            raise BrokenProcessPool("they were stopped")
        if self._broken >= _MOST_IN_A_ROW:
            self._broken = 0  # whoever comes next may have more luck
            raise BrokenProcessPool("they end before they can do anything")
        self._broken += 1
        broken, out = self._pool, self._out
        self._pool, self._out = self._make(), set()
        self._ending = threading.Thread(target=_give_up, args=(broken, out), daemon=True)
        self._ending.start()

    def _note(self, future: Future[Any]) -> None:
        if future.cancelled() or not isinstance(future.exception(), BrokenProcessPool):
            self._broken = 0

    def close(self, seconds: float = _STOP_SECONDS) -> None:
        """End all processes at once, waiting `seconds` at most; again does nothing more."""
        with self._lock:
            self._closed = True
            pool, ending = self._pool, self._ending
        _end(pool, seconds)
        if ending is not None:
            ending.join(seconds)


def _give_up(pool: ProcessPool, out: set[Future[Any]]) -> None:
    """End a broken pool, and fail what it took and did not get to."""
    _end(pool, _STOP_SECONDS)
    for future in tuple(out):
        with suppress(InvalidStateError):
            future.set_exception(BrokenProcessPool("its processes ended before they were at it"))


def _end(pool: ProcessPool, seconds: float) -> None:
    pool.stop()
    with suppress(TimeoutError, RuntimeError):
        pool.join(timeout=seconds)
