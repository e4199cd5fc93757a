"""A pool of processes that outlives the death of any of them, whatever that one was doing.

Pebble replaces a process that dies at work. One that dies while none is at work breaks its whole
pool for good; then a new pool takes its place here. No future that was given away stays open:
neither one that a broken pool never got to, nor one that was out when all were stopped.
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
_LOOK_SECONDS = 0.5
_MOST_IN_A_ROW = 3  # processes that die as they start would be started for ever


class Processes:
    """Runs functions in the pools that `make` makes, one pool at a time. Safe for threads."""

    def __init__(self, make: Callable[[], ProcessPool]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._pool = make()
        self._out: set[Future[Any]] = set()
        self._ending: threading.Thread | None = None
        self._watching: threading.Thread | None = None
        self._broken = 0  # pools in a row that did nothing
        self._closed = threading.Event()

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
            self._watch()
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

    def _watch(self) -> None:
        if self._watching is None:
            name = "watch-pool"
            self._watching = threading.Thread(target=self._look, daemon=True, name=name)
            self._watching.start()

    def _look(self) -> None:
        # A pool may break after it took work and before it noted it, and then tells nobody.
        while not self._closed.wait(_LOOK_SECONDS):
            with self._lock, suppress(BrokenProcessPool):
                if self._out and not self._pool.active:
                    self._renew()

    def _renew(self) -> None:
        if self._closed.is_set():
            raise BrokenProcessPool("they were stopped")
        if self._broken >= _MOST_IN_A_ROW:
            self._broken = 0  # whoever comes next may have more luck
            raise BrokenProcessPool("they end before they can do anything")
        self._broken += 1
        try:
            new = self._make()
        except OSError as error:  # the system has no room for another process, or no file
            raise BrokenProcessPool(f"no others can be started: {error.strerror}") from error
        broken, out = self._pool, self._out
        self._pool, self._out = new, set()
        lost = "its processes ended before they were at it"
        more = (broken, out, lost, _STOP_SECONDS)
        self._ending = threading.Thread(target=_end, args=more, daemon=True, name="end-pool")
        self._ending.start()

    def _note(self, future: Future[Any]) -> None:
        if future.cancelled() or not isinstance(future.exception(), BrokenProcessPool):
            self._broken = 0

    def close(self, seconds: float = _STOP_SECONDS) -> None:
        """End all processes at once, waiting `seconds` at most; again does nothing more.

        What is out then fails with BrokenProcessPool.
        """
        with self._lock:
            self._closed.set()
            pool, out, ending = self._pool, self._out, self._ending
        _end(pool, out, "they were stopped", seconds)
        if ending is not None:
            ending.join(seconds)


def _end(pool: ProcessPool, out: set[Future[Any]], why: str, seconds: float) -> None:
    """End a pool, and fail what it took and did not get to."""
    pool.stop()
    # Its own limit of seconds does not count for a pool that was stopped.
    joining = threading.Thread(target=_join, args=(pool,), daemon=True, name="join-pool")
    joining.start()
    joining.join(seconds)
    for future in tuple(out):
        with suppress(InvalidStateError):
            future.set_exception(BrokenProcessPool(why))


def _join(pool: ProcessPool) -> None:
    with suppress(RuntimeError):  # it was about to start, or a process cannot be ended
        pool.join()
