"""The processes in which bytes of strangers become pixels: they may die, the service may not.

Pebble's pool replaces a process that died or was ended, and says which picture it was at. What is
no longer wanted ends its process from within: the pool's own way may end one that is already at the
next picture, and then waits for that one until its time is over.
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawArray
from signal import Signals
from typing import Any

from pebble import ProcessExpired, ProcessPool

from caseframe.domain.errors import CaseframeError, OverLimit, PictureError, VisionFailed
from caseframe.domain.text import one_line
from caseframe.scanner.confine import alarm, leave_with_parent, limit_memory
from caseframe.scanner.forking import fork_server
from caseframe.scanner.processes import Processes

Prepare = Callable[[bytes], Any]
_Ticket = tuple[int, int]  # a place, and the number of the picture that is wanted there
_START_SECONDS = 20
_SPARE_SECONDS = 30  # for a process that ignores its own alarm


@dataclass(frozen=True)
class DecoderOptions:
    """How pictures are decoded. Times are seconds, memory is bytes; 0 memory means no limit."""

    processes: int = 2
    seconds: float = 60.0
    memory: int = 0
    preload: tuple[str, ...] = ("caseframe.scanner.picture",)
    """Modules that the fork server loads once for all processes."""


class Decoders:
    """A pool of processes that prepare pictures for models. For one event loop."""

    def __init__(self, prepares: Mapping[str, Prepare], options: DecoderOptions) -> None:
        self._prepares = dict(prepares)
        self._options = options
        self._wanted = RawArray(ctypes.c_uint64, options.processes)
        """For each place, the number of the picture that is wanted there."""
        self._numbers = itertools.count(1)
        # Beyond these places, work would wait inside the pool.
        self._free: asyncio.Queue[int] = asyncio.Queue()
        for place in range(options.processes):
            self._free.put_nowait(place)
        self._processes = Processes(self._new_pool)

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self._options.processes,
            initializer=_start,
            initargs=(self._prepares, self._options, self._wanted),
            context=fork_server(self._options.preload),  # the model here keeps its threads
        )

    async def warm(self) -> None:
        """Start the processes, and return when all are there.

        No picture waits for them then; and one that is ended while it starts says so at length.
        """
        wanted = self._options.processes
        there: set[int] = set()
        until = time.monotonic() + _START_SECONDS
        while len(there) < wanted and time.monotonic() < until:
            there.update(await asyncio.gather(*(self._run(_pid) for _ in range(wanted))))
            await asyncio.sleep(0.02)  # so that it is not always the first one that answers

    async def prepare(self, model: str, data: bytes) -> Any:
        """What the model `model` takes for the picture `data`.

        Raises PictureError with the reason where it is none, or one over the limits; VisionFailed
        when decoding killed its process or took too long. Cancelling it ends the process within
        a second.
        """
        try:
            return await self._run(_prepare, model, data)
        except ProcessExpired as error:
            raise VisionFailed(self._words(error.exitcode)) from error
        except TimeoutError as error:
            raise VisionFailed(self._too_long()) from error

    async def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        for _ in range(2):
            with suppress(BrokenProcessPool):
                return await self._at(await self._free.get(), function, arguments)
        raise VisionFailed("the decoders died before they could look at it")

    async def _at(self, place: int, function: Callable[..., Any], more: Sequence[Any]) -> Any:
        number = self._wanted[place] = next(self._numbers)
        limit = self._options.seconds + _SPARE_SECONDS
        try:
            future = self._processes.schedule(function, ((place, number), *more), limit)
        except BrokenProcessPool:
            self._free.put_nowait(place)
            raise
        future.add_done_callback(self._freer(place))
        ended = asyncio.wrap_future(future)
        ended.add_done_callback(_read)
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            if self._wanted[place] == number:  # else the place has gone to another picture
                self._wanted[place] = 0
            raise

    def _freer(self, place: int) -> Callable[[Future[Any]], None]:
        loop = asyncio.get_running_loop()

        def free(_: Future[Any]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._free.put_nowait, place)

        return free

    def _too_long(self) -> str:
        return f"decoding it took longer than {self._options.seconds:g} s (picture_seconds)"

    def _words(self, code: int | None) -> str:
        if code == -signal.SIGALRM:
            return self._too_long()
        if code is not None and code < 0:
            with suppress(ValueError):
                return f"decoding it killed the decoder (signal {Signals(-code).name})"
        return f"decoding it killed the decoder (exit status {code})"

    def close(self) -> None:
        """End all processes at once."""
        self._processes.close()


def _read(ended: asyncio.Future[Any]) -> None:
    """Take notice of an error that nobody waits for, which asyncio would print."""
    if not ended.cancelled():
        ended.exception()


class _Here:
    """The state of this decoder process; a process pool offers no other place to keep it."""

    prepares: Mapping[str, Prepare] = {}
    seconds = 0.0
    wanted: Sequence[int] = ()
    ticket: _Ticket | None = None
    """What this process is at; whoever holds the lock knows that it stays so."""
    lock = threading.Lock()


def _start(prepares: Mapping[str, Prepare], options: DecoderOptions, wanted: Sequence[int]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    leave_with_parent(_leave_if_unwanted)
    limit_memory(options.memory)
    _Here.prepares, _Here.seconds, _Here.wanted = prepares, options.seconds, wanted


def _leave_if_unwanted() -> None:
    # Under the lock the process is at that picture for sure, and neither takes nor gives anything.
    with _Here.lock:
        if _Here.ticket is not None and not _is_wanted(_Here.ticket):
            os._exit(1)


def _is_wanted(ticket: _Ticket) -> bool:
    place, number = ticket
    return _Here.wanted[place] == number


@contextmanager
def _at_work(ticket: _Ticket) -> Iterator[None]:
    with _Here.lock:
        _Here.ticket = ticket
    try:
        yield
    finally:
        with _Here.lock:
            _Here.ticket = None


def _pid(_: _Ticket) -> int:
    return os.getpid()


def _prepare(ticket: _Ticket, model: str, data: bytes) -> Any:
    if not _is_wanted(ticket):
        raise VisionFailed("nobody wants it any more")
    with _at_work(ticket), alarm(_Here.seconds):
        try:
            return _Here.prepares[model](data)
        except MemoryError:
            said = "decoding it takes more memory than a worker may use (worker_memory_mb)"
            raise OverLimit(said) from None
        except PictureError as error:
            raise type(error)(one_line(str(error))) from None
        except Exception as error:  # noqa: BLE001 - the boundary of one picture: its own error
            ours = isinstance(error, CaseframeError)
            said = str(error) if ours else f"{type(error).__name__}: {error}"
            raise VisionFailed(one_line(f"decoding it failed: {said}")) from None
