"""Pictures as a browser can show them, made in processes that hostile bytes may kill.

The file is read again, and shown only if it still is the content that was scanned.
"""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field

from pebble import ProcessExpired, ProcessPool

from caseframe.domain.errors import CaseframeError, PictureError, ReadError, ServiceAway
from caseframe.pipeline import forkserver
from caseframe.scanner.limits import Limits
from caseframe.scanner.processes import Processes

_CHANGED = "the file is not what it was when it was scanned; scan the folder again"
_NO_TURN = "too many pictures are being shown; try again in a moment"
_JOIN_SECONDS = 5
_TRIES = 2
_TURN_SECONDS = 60.0  # until a process is free, beside the time for the picture


@dataclass(frozen=True)
class RenderOptions:
    """`seconds` for one picture, `memory` in bytes for one process (0: no limit)."""

    workers: int = 2
    seconds: float = 30.0
    memory: int = 0
    limits: Limits = field(default_factory=Limits)


class LocalRenderer:
    """Makes views in a small pool of processes, started when the first is asked for."""

    def __init__(self, options: RenderOptions) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._processes: Processes | None = None
        self._closed = False

    def _started(self) -> Processes:
        with self._lock:
            if self._closed:
                raise CaseframeError("the server is ending")
            if self._processes is None:
                self._processes = Processes(self._new_pool)
            return self._processes

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self._options.workers,
            max_tasks=500,
            initializer=_start,
            initargs=(self._options.memory,),
            context=forkserver.start(),
        )

    def view(self, root: bytes, path: bytes, sha256: bytes, side: int) -> bytes:
        """The picture upright as JPEG, its longer side at most `side` pixels.

        Raises ReadError when the file is gone or not that content, PictureError when it cannot be
        decoded, ServiceAway when no process lives long enough to look at it, or none is free.
        """
        for _ in range(_TRIES):
            with suppress(BrokenProcessPool):
                return self._viewed((root, path, sha256, side, self._options.limits))
        raise ServiceAway("the processes that show pictures ended; try again in a moment")

    def _viewed(self, arguments: tuple[bytes, bytes, bytes, int, Limits]) -> bytes:
        seconds = self._options.seconds
        future = self._started().schedule(_view, arguments, seconds)
        try:
            made: bytes = future.result(_TURN_SECONDS + seconds)
        except TimeoutError as error:
            if not future.done():
                future.cancel()
                raise ServiceAway(_NO_TURN) from error
            raise PictureError("decoding it takes too long") from error
        except ProcessExpired as error:
            raise PictureError("its decoder died of it") from error
        except MemoryError as error:
            raise PictureError("decoding it takes too much memory") from error
        except CancelledError as error:
            raise CaseframeError("the server is ending") from error
        return made

    def close(self) -> None:
        """Stop the processes; a second call does nothing."""
        with self._lock:
            self._closed = True
            processes, self._processes = self._processes, None
        if processes is not None:
            processes.close(_JOIN_SECONDS)


def _start(memory: int) -> None:
    from caseframe.pipeline.process import settle  # noqa: PLC0415 - loaded by the fork server

    settle(memory)


def _view(root: bytes, path: bytes, sha256: bytes, side: int, limits: Limits) -> bytes:
    from caseframe.scanner.picture import Picture, jpeg  # noqa: PLC0415 - loaded by the fork server
    from caseframe.scanner.reading import open_root, opened, read_all  # noqa: PLC0415
    from caseframe.scanner.sniff import sniff  # noqa: PLC0415

    try:
        top = open_root(root)
    except OSError as error:
        raise ReadError(f"the source folder cannot be opened: {error.strerror}") from error
    try:
        with opened(top, path) as (descriptor, status):
            if status.st_size > limits.max_file_bytes:
                raise PictureError("the file is larger than the limit (max_file_bytes)")
            data = read_all(descriptor, status.st_size)
    finally:
        os.close(top)
    if hashlib.sha256(data).digest() != sha256:
        raise ReadError(_CHANGED)
    picture = Picture(data, sniff(data), limits)
    picture.check_limits()
    return jpeg(picture.pixels(side))
