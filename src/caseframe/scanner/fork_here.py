"""A fork server that begins as a copy of this process, with what both need loaded once.

Else it is a new interpreter, which loads again what the command line loads at the same time: a
third of its start. A copy has one thread only, so this is for processes that have no other yet;
and it keeps nothing of ours but the modules: no handler of a signal and no open file.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import util
from typing import NoReturn


def possible() -> bool:
    """Whether this process can be copied whole: it is alone, libraries' threads counted too."""
    if sys.platform != "linux" or not hasattr(util, "spawnv_passfds"):  # no part of the public API
        return False
    return len(os.listdir("/proc/self/task")) == 1


@contextmanager
def copied() -> Iterator[None]:
    """In this block, what multiprocessing starts as a new Python is a copy of this process."""
    usual = util.spawnv_passfds
    util.spawnv_passfds = _copy  # type: ignore[assignment]
    try:
        yield
    finally:
        util.spawnv_passfds = usual


def _copy(_python: bytes, arguments: Sequence[str], passed: Sequence[int]) -> int:
    """The copy's process id; it runs the code that a new Python would get with `-c`."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # else the copy would write it too
    # A handler of ours that raised in the copy would have it go on as if it were the command.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    pid = os.fork()
    if pid == 0:
        _run(arguments[-1], passed, before)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _run(code: str, passed: Sequence[int], signals: set[int | signal.Signals]) -> NoReturn:
    status = 1
    try:
        _let_go(passed)
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        exec(code, {})  # noqa: S102 - multiprocessing's own words
    except SystemExit:
        status = 0
    except BaseException:  # noqa: BLE001 - where this process ends, as Python's own end of one
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def _let_go(passed: Sequence[int]) -> None:
    """Have signals and files as a new Python has them."""
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            theirs = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, theirs)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in passed:
            with suppress(OSError):  # that of the listing itself is closed by now
                os.close(int(name))
