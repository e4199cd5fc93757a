"""What runs inside a worker of the local pool; the parent loads no image library for it."""

from __future__ import annotations

import mmap
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from caseframe.domain.errors import CaseframeError
from caseframe.domain.evidence import Examined
from caseframe.domain.text import one_line
from caseframe.domain.work import Order, Outcome, StageOutcome
from caseframe.logs import configure
from caseframe.scanner.confine import alarm, leave_with_parent, limit_memory, renew
from caseframe.scanner.limits import Limits
from caseframe.stages.stage import StageContext

if TYPE_CHECKING:
    from caseframe.pipeline.worker import Begun, Worker

FIRST = 1
"""The mark of the first step; 0 says that the order was not begun."""
HELD = 254
"""The mark of an order that waits for the stages that look at several pictures at once."""
ENDED = 255
"""The mark of an order that is done."""


@dataclass(frozen=True)
class LocalOptions:
    """How the pool works. Times are seconds, memory is bytes; 0 means no limit."""

    workers: int
    picture_seconds: float = 60.0
    attempts: int = 3
    worker_memory: int = 0
    worker_bundles: int = 0
    limits: Limits = field(default_factory=Limits)
    context: StageContext = field(default_factory=lambda: StageContext(Path("cache")))
    together: int = 1
    """Pictures a worker gets at once at least, for stages that look at several together."""
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
    slots: tuple[int, ...] = ()
    limit = 0.0


def start_worker(options: LocalOptions, marks: str, steps: Sequence[str]) -> None:
    """Prepare a new worker process; `steps` are numbered from `FIRST` in the file `marks`."""
    from caseframe.pipeline.worker import Worker  # noqa: PLC0415 - loaded by the fork server
    from caseframe.stages.registry import load_stages  # noqa: PLC0415

    configure(options.log_level, as_json=options.log_json)
    settle(options.worker_memory)
    with open(marks, "r+b") as file:
        _Here.marks = mmap.mmap(file.fileno(), 0)
    _Here.limit = options.picture_seconds
    number = {name: index + FIRST for index, name in enumerate(steps)}
    stages = [found.stage for found in load_stages().stages]
    _Here.worker = Worker(
        stages, options.context, options.limits, lambda step: _reach(number[step])
    )


def _reach(number: int) -> None:
    _mark(number)
    if number == FIRST:  # told of each piece that is read: only a read that stands still is a hang
        renew(_Here.limit)


def _mark(number: int) -> None:
    if _Here.marks is not None:
        for slot in _Here.slots:
            _Here.marks[slot] = number


def settle(memory: int) -> None:
    """What every process of a pool does first; it may hold `memory` bytes, 0 sets no limit."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops us
    limit_memory(memory)
    leave_with_parent()


def do_bundle(work: list[tuple[Order, int]]) -> list[Answer]:
    """Carry out some orders, each under an alarm that ends this process when it takes too long."""
    begun = []
    for order, slot in work:
        _Here.slots = (slot,)
        with alarm(_Here.limit):
            begun.append(_begin(order))
        _mark(HELD if begun[-1].waits else ENDED)
    return _finish(begun, [slot for _, slot in work])


@dataclass(frozen=True)
class _Half:
    """What came of the first half of an order: begun, or the error that ended it."""

    seconds: float
    begun: Begun | None = None
    error: str | None = None

    @property
    def waits(self) -> bool:
        return self.begun is not None and bool(self.begun.waiting)


def _worker() -> Worker:
    if _Here.worker is None:
        raise CaseframeError("the worker was not started")
    return _Here.worker


def _begin(order: Order) -> _Half:
    started = time.perf_counter()
    try:
        begun = _worker().begin(order)
    except Exception as error:  # noqa: BLE001 - the boundary of one item: stored as its reason
        return _Half(0.0, error=one_line(f"{type(error).__name__}: {error}"))
    return _Half(time.perf_counter() - started, begun)


def _finish(halves: list[_Half], slots: list[int]) -> list[Answer]:
    """The second half, for all that wait together; they share its time and its alarm."""
    waiting = [half.begun for half in halves if half.begun is not None and half.waits]
    _Here.slots = tuple(slot for half, slot in zip(halves, slots, strict=True) if half.waits)
    outcomes: Iterator[Outcome] = iter(())
    share = 0.0
    if waiting:
        started = time.perf_counter()
        with alarm(_Here.limit * len(waiting)):
            outcomes = iter(_worker().finish(waiting))
        share = (time.perf_counter() - started) / len(waiting)
    _mark(ENDED)
    return [_answer(half, share, outcomes) for half in halves]


def _answer(half: _Half, share: float, finished: Iterator[Outcome]) -> Answer:
    if half.begun is None:
        return Answer(error=half.error)
    outcome = next(finished) if half.waits else half.begun.outcome
    seconds = half.seconds + (share if half.waits else 0.0)
    return Answer(outcome.examined, outcome.stages, outcome.already_known, None, seconds)
