"""The processes in which bytes of strangers become pixels: they may die, the service may not.

Pebble's pool replaces a process that died or was ended, and says which picture it was at.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from signal import Signals
from typing import Any

from pebble import ProcessExpired, ProcessPool

from caseframe.domain.errors import CaseframeError, OverLimit, PictureError, VisionFailed
from caseframe.domain.text import one_line
from caseframe.scanner.confine import alarm, leave_with_parent, limit_memory
from caseframe.scanner.forking import fork_server

Prepare = Callable[[bytes], Any]
_START_SECONDS = 20
_STOP_SECONDS = 10
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
        # Beyond this, work would wait inside the pool, where cancelling it costs a process.
        self._free = asyncio.Semaphore(options.processes)
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self._options.processes,
            initializer=_start,
            initargs=(self._prepares, self._options),
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
            there.update(await asyncio.gather(*(self._run(os.getpid, ()) for _ in range(wanted))))
            await asyncio.sleep(0.02)  # so that it is not always the first one that answers

    async def prepare(self, model: str, data: bytes) -> Any:
        """What the model `model` takes for the picture `data`.

        Raises PictureError with the reason where it is none, or one over the limits; VisionFailed
        when decoding killed its process or took too long. Cancelling it ends the process.
        """
        try:
            return await self._run(_prepare, (model, data))
        except ProcessExpired as error:
            raise VisionFailed(self._words(error.exitcode)) from error
        except TimeoutError as error:
            raise VisionFailed(self._too_long()) from error

    async def _run(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        async with self._free:
            for _ in range(2):
                with suppress(BrokenProcessPool):
                    return await asyncio.wrap_future(self._schedule(function, arguments))
        raise VisionFailed("the decoders died before they could look at it")

    def _schedule(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Future[Any]:
        limit = self._options.seconds + _SPARE_SECONDS
        try:
            future: Future[Any] = self._pool.schedule(function, args=arguments, timeout=limit)
        except RuntimeError:  # the whole pool broke, as when a process died that had no work
            broken, self._pool = self._pool, self._new_pool()
            threading.Thread(target=_end, args=(broken,), daemon=True).start()
            future = self._pool.schedule(function, args=arguments, timeout=limit)
        return future

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
        _end(self._pool)


def _end(pool: ProcessPool) -> None:
    pool.stop()
    with suppress(TimeoutError, RuntimeError):
        pool.join(timeout=_STOP_SECONDS)


class _Here:
    """The state of this decoder process; a process pool offers no other place to keep it."""

    prepares: Mapping[str, Prepare] = {}
    seconds = 0.0


def _start(prepares: Mapping[str, Prepare], options: DecoderOptions) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    leave_with_parent()
    limit_memory(options.memory)
    _Here.prepares, _Here.seconds = prepares, options.seconds


def _prepare(model: str, data: bytes) -> Any:
    with alarm(_Here.seconds):
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
