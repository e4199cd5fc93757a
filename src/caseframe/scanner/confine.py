"""Bounds on a process that meets hostile bytes: memory, time, and an end with its parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


def limit_memory(most: int) -> None:
    """Let this process hold `most` bytes of private memory, 0 for any; then allocation fails."""
    if not most:
        return
    import resource  # noqa: PLC0415 - not on every system

    with suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def leave_with_parent(look: Callable[[], None] = lambda: None) -> None:
    """End this process soon after its parent is gone, even when the parent was killed.

    Also when it was gone already: of a fork server's children, the parent is whoever asked for
    them, and the server may have ended before this is called. The thread that sees to it calls
    `look` twice a second, which may end the process for a reason of its own.
    """
    parent, asked_by = os.getppid(), multiprocessing.parent_process()

    def watch() -> None:
        while os.getppid() == parent and (asked_by is None or asked_by.is_alive()):
            time.sleep(0.5)
            look()
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="watch-parent").start()


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Let the system end this process (SIGALRM) when the block takes longer than `seconds`.

    The alarm's default action is the system's own and needs nothing of a hanging library.
    """
    renew(seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def renew(seconds: float) -> None:
    """Count the `alarm` that this process is under from now on anew."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
