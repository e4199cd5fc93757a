"""The runner for one machine: a pool of processes that outlives any of them (Pebble).

Processes come from a fork server that has the libraries loaded, so a new worker starts in
milliseconds and shares their memory; it is clean of threads, which a fork of this process is not.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import queue
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from pebble import ProcessExpired, ProcessPool

from caseframe.domain.errors import CaseframeError
from caseframe.domain.evidence import Examined, FileState
from caseframe.domain.work import Order, Outcome, StageOutcome
from caseframe.logs import configure
from caseframe.pipeline.worker import Worker
from caseframe.scanner.limits import Limits
from caseframe.stages.registry import load_registry
from caseframe.stages.stage import StageContext

_IN_FLIGHT_A_WORKER = 4  # enough to keep a worker busy while the parent writes a batch
_STEPS = ("open", "header", "decode")
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_PRELOAD = ["caseframe.pipeline.local", "caseframe.stages.exif", "caseframe.stages.similar"]


@dataclass(frozen=True, slots=True)
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


Answer = tuple[Examined | None, tuple[StageOutcome, ...], bool]


# ---- in the worker process ------------------------------------------------------------------

_worker: Worker | None = None
_marks: mmap.mmap | None = None
_slot = 0


def _start_worker(options: LocalOptions, marks: str, steps: tuple[str, ...]) -> None:
    """Runs once in each new worker process."""
    global _worker, _marks  # noqa: PLW0603 - a process pool offers no other place to keep state
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops us
    configure(options.log_level, as_json=options.log_json)
    _limit_memory(options.worker_memory)
    _leave_with_parent()
    with open(marks, "r+b") as file:
        _marks = mmap.mmap(file.fileno(), 0)
    number = {name: index for index, name in enumerate(steps)}

    def mark(step: str) -> None:
        if _marks is not None:
            _marks[_slot] = number[step]

    stages = [found.stage for found in load_registry(announce=False).stages]
    _worker = Worker(stages, StageContext(options.cache), options.limits, mark)


def _limit_memory(extra: int) -> None:
    """Let this process allocate `extra` bytes more than it has; beyond, allocation fails."""
    if not extra:
        return
    import resource  # noqa: PLC0415 - not on every system

    with suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = extra if hard == resource.RLIM_INFINITY else min(extra, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _leave_with_parent() -> None:
    """End this process soon after its parent is gone, even when the parent was killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="watch-parent").start()


def _do(order: Order, slot: int) -> Answer:
    global _slot  # noqa: PLW0603 - read by the mark of this process's only worker
    _slot = slot
    if _worker is None:
        raise CaseframeError("the worker was not started")
    outcome = _worker.do(order)
    return outcome.examined, outcome.stages, outcome.already_known


# ---- in the parent --------------------------------------------------------------------------


@dataclass(slots=True)
class _Flight:
    """One order under way: where its marks stand, and which steps killed a worker how often."""

    order: Order
    slot: int
    deaths: Counter[str] = field(default_factory=Counter)


class LocalRunner:
    """`Runner` over processes of this machine."""

    def __init__(self, options: LocalOptions) -> None:
        self._options = options
        names = load_registry(announce=False).names()
        self._steps = (*_STEPS, *names)
        self._capacity = options.workers * _IN_FLIGHT_A_WORKER
        self._ended: queue.SimpleQueue[tuple[_Flight, Future[Answer]]] = queue.SimpleQueue()
        self._marks_file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed in close()
            prefix="caseframe-marks-"
        )
        self._marks_file.write(bytes(self._capacity))
        self._marks_file.flush()
        self._marks = mmap.mmap(self._marks_file.fileno(), 0)
        self._pool = self._start()

    def _start(self) -> ProcessPool:
        for name in _THREAD_SETTINGS:  # one picture, one core: the pool is the parallelism
            os.environ.setdefault(name, "1")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOAD)
        return ProcessPool(
            max_workers=self._options.workers,
            max_tasks=self._options.worker_pictures,
            initializer=_start_worker,
            initargs=(self._options, self._marks_file.name, self._steps),
            context=context,
        )

    def run(self, orders: Iterable[Order]) -> Iterator[Outcome]:
        """See `Runner.run`. Raises CaseframeError when no worker can be started at all."""
        source = iter(orders)
        free = list(range(self._capacity))
        exhausted = False
        while True:
            while free and not exhausted:
                order = next(source, None)
                if order is None:
                    exhausted = True
                else:
                    self._submit(_Flight(order, free.pop()))
            if len(free) == self._capacity:
                return
            flight, future = self._ended.get()
            outcome = self._outcome(flight, future)
            if outcome is not None:
                free.append(flight.slot)
                yield outcome

    def _submit(self, flight: _Flight) -> None:
        self._marks[flight.slot] = 0
        try:
            future = self._pool.schedule(
                _do, args=(flight.order, flight.slot), timeout=self._options.picture_seconds
            )
        except RuntimeError as error:
            raise CaseframeError(f"the workers cannot be started: {error}") from error
        future.add_done_callback(lambda done: self._ended.put((flight, done)))

    def _outcome(self, flight: _Flight, future: Future[Answer]) -> Outcome | None:
        """What came of a flight, or None when it was sent out again."""
        try:
            examined, stages, known = future.result()
        except TimeoutError:
            return self._died(flight, f"took longer than {self._options.picture_seconds:g} s")
        except ProcessExpired as error:
            return self._died(flight, f"killed its worker ({_exit_words(error.exitcode)})")
        except CancelledError as error:
            raise CaseframeError("the workers were stopped") from error
        except Exception as error:  # noqa: BLE001
            # The boundary of one item: what a picture made go wrong outside of any stage.
            return _given_up(flight.order, f"{type(error).__name__}: {error}")
        stages = tuple(
            replace(s, attempts=n) if (n := flight.deaths.get(s.stage, 0)) else s for s in stages
        )
        return Outcome(flight.order, examined, stages, known)

    def _died(self, flight: _Flight, what: str) -> Outcome | None:
        step = self._steps[self._marks[flight.slot]]
        flight.deaths[step] += 1
        if flight.deaths[step] >= self._options.attempts:
            times = f", {flight.deaths[step]} times" if flight.deaths[step] > 1 else ""
            reason = f"{_step_words(step)} {what}{times}"
            if step == "open":
                return _given_up(flight.order, reason)
            skip: Mapping[str, str] = {**flight.order.skip, step: reason}
            flight.order = replace(flight.order, skip=skip)
        self._submit(flight)
        return None

    def close(self) -> None:
        """Stop the workers at once; what they hold was not collected and will be done again."""
        self._pool.stop()
        self._pool.join()
        with suppress(BufferError, ValueError):
            self._marks.close()
        with suppress(OSError):
            self._marks_file.close()


def _given_up(order: Order, reason: str) -> Outcome:
    """The end of an order whose file could not even be read and hashed."""
    return Outcome(order, Examined(FileState.UNREADABLE, 0, 0, reason))


def _step_words(step: str) -> str:
    words = {"open": "reading", "header": "reading the header", "decode": "decoding"}
    return words.get(step, f"the stage {step}")


def _exit_words(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
    return f"exit status {code}"
