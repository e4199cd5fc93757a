"""What runs inside a worker of the local pool; the parent loads no image library for it."""

from __future__ import annotations

import mmap
import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from caseframe.domain.errors import CaseframeError
from caseframe.domain.evidence import Examined
from caseframe.domain.text import one_line
from caseframe.domain.work import Order, StageOutcome
from caseframe.logs import configure
from caseframe.scanner.limits import Limits

if TYPE_CHECKING:
    from caseframe.pipeline.worker import Worker

FIRST = 1
"""The mark of the first step; 0 says that the order was not begun."""
ENDED = 255
"""The mark of an order that is done."""


@dataclass(frozen=True)
class LocalOptions:
    """How the pool works. Times are seconds, memory is bytes; 0 means no limit."""

    workers: int
    picture_seconds: float = 60.0
    attempts: int = 3
    worker_memory: int = 0
    worker_pictures: int = 0
    limits: Limits = field(default_factory=Limits)
    cache: Path = Path("cache")
    log_level: str = "warning"
    log_json: bool = False


@dataclass(frozen=True)
class Answer:
    """What a worker sends back for one order; `error` is set when it could not be examined."""

    examined: Examined | None = None
    stages: tuple[StageOutcome, ...] = ()
    already_known: bool = False
    error: str | None = None
    seconds: float = 0.0


class _Here:
    """The state of this worker process; a process pool offers no other place to keep it."""

    worker: Worker | None = None
    marks: mmap.mmap | None = None
    slot = 0
    limit = 0.0


def start_worker(options: LocalOptions, marks: str, steps: Sequence[str]) -> None:
    """Prepare a new worker process; `steps` are numbered from `FIRST` in the file `marks`."""
    from caseframe.pipeline.worker import Worker  # noqa: PLC0415 - loaded by the fork server
    from caseframe.stages.registry import load_registry  # noqa: PLC0415
    from caseframe.stages.stage import StageContext  # noqa: PLC0415

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops us
    configure(options.log_level, as_json=options.log_json)
    _limit_memory(options.worker_memory)
    _leave_with_parent()
    with open(marks, "r+b") as file:
        _Here.marks = mmap.mmap(file.fileno(), 0)
    _Here.limit = options.picture_seconds
    number = {name: index + FIRST for index, name in enumerate(steps)}
    stages = [found.stage for found in load_registry(announce=False).stages]
    context = StageContext(options.cache)
    _Here.worker = Worker(stages, context, options.limits, lambda step: _mark(number[step]))


def _mark(number: int) -> None:
    if _Here.marks is not None:
        _Here.marks[_Here.slot] = number


def _limit_memory(most: int) -> None:
    """Let this process hold `most` bytes of private memory; beyond, allocation fails."""
    if not most:
        return
    import resource  # noqa: PLC0415 - not on every system

    with suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _leave_with_parent() -> None:
    """End this process soon after its parent is gone, even when the parent was killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="watch-parent").start()


def do_bundle(work: list[tuple[Order, int]]) -> list[Answer]:
    """Carry out some orders, each under an alarm that ends this process when it takes too long.

    The alarm's default action is the system's own and needs nothing of a hanging library.
    """
    answers = []
    for order, slot in work:
        _Here.slot = slot
        signal.setitimer(signal.ITIMER_REAL, _Here.limit)
        answers.append(_do(order))
        signal.setitimer(signal.ITIMER_REAL, 0)
        _mark(ENDED)
    return answers


def _do(order: Order) -> Answer:
    started = time.perf_counter()
    if _Here.worker is None:
        raise CaseframeError("the worker was not started")
    try:
        outcome = _Here.worker.do(order)
    except Exception as error:  # noqa: BLE001 - the boundary of one item: stored as its reason
        return Answer(error=one_line(f"{type(error).__name__}: {error}"))
    seconds = time.perf_counter() - started
    return Answer(outcome.examined, outcome.stages, outcome.already_known, None, seconds)
