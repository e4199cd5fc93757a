"""The runner for one machine: a pool of processes that outlives any of them (Pebble).

Processes come from a fork server that has the libraries loaded, so a new worker starts in
milliseconds and shares their memory; it is clean of threads, which a fork of this process is not.

Orders travel in small bundles, because sending one costs about as much as a small stage. Each order
has a byte in a file that both sides map: the worker notes there which step it is at. When a worker
dies, that byte tells which picture and which step it was, and only that one is counted against it.
"""

from __future__ import annotations

import mmap
import queue
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field, replace
from signal import SIGALRM, Signals

from pebble import CONSTS, ProcessExpired, ProcessPool

from caseframe.domain.errors import CaseframeError, Stopped
from caseframe.domain.work import Order, Outcome, unreadable
from caseframe.pipeline import forkserver
from caseframe.pipeline.process import (
    ENDED,
    FIRST,
    HELD,
    Answer,
    LocalOptions,
    do_bundle,
    start_worker,
)
from caseframe.scanner.processes import Processes
from caseframe.scanner.reading import CHUNK
from caseframe.stages.registry import load_stages

_BUNDLES_A_WORKER = 3  # enough to keep a worker busy while the parent writes a batch
_MOST = 32
_MOST_BYTES = 64_000_000  # stages that look at several pictures at once hold all their files
_BUNDLE_SECONDS = 0.1  # larger bundles cost less to send, but make progress jerky
# How often the pool looks whether workers died, or it is to end: half of this is waited for at the
# end of each scan. Looking takes less than a tenth of a millisecond.
CONSTS.sleep_unit = 0.025
_LOOK_UP_SECONDS = 0.2
_STEPS = ("open", "header", "decode")


@dataclass(slots=True)
class _Flight:
    """One order under way: where its mark stands, and which steps killed a worker how often."""

    order: Order
    slot: int
    deaths: Counter[str] = field(default_factory=Counter)


_Ended = tuple[list[_Flight], "Future[list[Answer]]"]


class LocalRunner:
    """`Runner` over processes of this machine.

    `stop` is asked several times a second whether to end.
    """

    def __init__(self, options: LocalOptions, stop: Callable[[], bool] = lambda: False) -> None:
        self._options = options
        self._stop = stop
        names = load_stages().names()
        self._steps = (*_STEPS, *names)
        self._capacity = options.workers * _BUNDLES_A_WORKER * _MOST
        self._ended: queue.SimpleQueue[_Ended | None] = queue.SimpleQueue()
        self._marks_file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed in close()
            prefix="caseframe-marks-"
        )
        self._marks_file.write(bytes(self._capacity))
        self._marks_file.flush()
        self._marks = mmap.mmap(self._marks_file.fileno(), 0)
        self._processes = Processes(self._new_pool)
        self._starting: threading.Thread | None = None
        self._closing = threading.Lock()
        self._out: set[Future[list[Answer]]] = set()
        self._pace = _BUNDLE_SECONDS  # seconds a picture, a moving average; at first one a bundle

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self._options.workers,
            max_tasks=self._options.worker_bundles,
            initializer=start_worker,
            initargs=(self._options, self._marks_file.name, self._steps),
            context=forkserver.start(),
        )

    def run(self, orders: Iterable[Order | None]) -> Generator[Outcome, None, None]:
        """See `Runner.run`; call `wake` when there are orders after a None.

        Raises CaseframeError when no worker can be started at all; it may be called again then.
        """
        try:
            yield from self._run(iter(orders))
        finally:
            self._abandon()

    def start(self) -> None:
        """Start the workers now, not at the first order. Raises CaseframeError when it cannot."""
        try:
            self._processes.start()
        except RuntimeError as error:
            raise CaseframeError(f"the workers cannot be started: {error}") from error

    def start_soon(self) -> None:
        """Start the workers beside what the caller does meanwhile, where orders are sure to come.

        Whatever goes wrong is said when the first order is sent.
        """
        self._starting = threading.Thread(target=self._try_to_start, name="start-workers")
        self._starting.start()

    def _try_to_start(self) -> None:
        with suppress(CaseframeError, OSError):
            self.start()

    def wake(self) -> None:
        """There are orders again; may be called from any thread."""
        self._ended.put(None)

    def _run(self, source: Iterator[Order | None]) -> Iterator[Outcome]:
        free = list(range(self._capacity))
        exhausted = False
        while True:
            while not exhausted and len(self._out) < self._options.workers * _BUNDLES_A_WORKER:
                bundle, exhausted = self._take(source, free)
                if not bundle:
                    break
                self._send(bundle)
            if exhausted and not self._out:
                return
            ended = self._next_ended()
            if ended is None:
                continue
            flights, future = ended
            self._out.discard(future)
            for flight, outcome in self._outcomes(flights, future):
                free.append(flight.slot)
                yield outcome

    def _next_ended(self) -> _Ended | None:
        """What came back; None when there may be orders again."""
        while True:
            if self._stop():
                raise Stopped
            with suppress(queue.Empty):
                return self._ended.get(timeout=_LOOK_UP_SECONDS)

    def _abandon(self) -> None:
        """Stop what is still out when nobody wants its outcomes any more.

        Nothing is waited for: what still ends goes to the old queue, and with it.
        """
        for future in self._out:
            future.cancel()
        self._out = set()
        self._ended = queue.SimpleQueue()

    def _take(self, source: Iterator[Order | None], free: list[int]) -> tuple[list[_Flight], bool]:
        """A bundle of what there is now, and whether that was all.

        It may pass the most bytes by its last order, which is not known before it is taken.
        """
        by_pace = int(_BUNDLE_SECONDS / self._pace)
        wanted = min(max(1, self._options.together, by_pace), _MOST, len(free))
        bundle: list[_Flight] = []
        size = 0
        while len(bundle) < wanted and size < _MOST_BYTES:
            try:
                order = next(source)
            except StopIteration:
                return bundle, True
            if order is None:
                break
            bundle.append(_Flight(order, free.pop()))
            size += order.size
        return bundle, False

    def _send(self, bundle: list[_Flight]) -> None:
        for flight in bundle:
            self._marks[flight.slot] = 0
        work = [(flight.order, flight.slot) for flight in bundle]
        # Each picture has its own alarm in the worker, renewed by each piece that is read; this one
        # is for a worker that ignores it.
        turns = sum(1 + flight.order.size // CHUNK for flight in bundle)
        limit = self._options.picture_seconds * turns + 30
        try:
            future = self._processes.schedule(do_bundle, (work,), limit)
        except RuntimeError as error:
            raise CaseframeError(f"the workers cannot be started: {error}") from error
        ended = self._ended
        self._out.add(future)
        future.add_done_callback(lambda done: ended.put((bundle, done)))

    def _outcomes(
        self, flights: list[_Flight], future: Future[list[Answer]]
    ) -> Iterator[tuple[_Flight, Outcome]]:
        """What came of a bundle; flights that must be tried again are sent out instead."""
        try:
            answers = future.result()
        except TimeoutError:
            yield from self._died(flights, self._too_long())
        except ProcessExpired as error:
            late = error.exitcode == -SIGALRM
            yield from self._died(flights, self._too_long() if late else _words(error.exitcode))
        except CancelledError as error:
            raise CaseframeError("the workers were stopped") from error
        except BrokenProcessPool:  # a worker died, and nobody is known to have been at work
            yield from self._died(flights, "killed its worker", known=False)
        else:
            for flight, answer in zip(flights, answers, strict=True):
                self._pace += 0.1 * (answer.seconds - self._pace)
                yield flight, _outcome(flight, answer)

    def _too_long(self) -> str:
        return f"took longer than {self._options.picture_seconds:g} s (picture_seconds)"

    def _died(
        self, flights: list[_Flight], what: str, *, known: bool = True
    ) -> Iterator[tuple[_Flight, Outcome]]:
        """Count the death against the picture at work; send it and its neighbours out again.

        `known` is whether it was these flights' worker that died.
        """
        again = []
        for flight in flights:
            mark = self._marks[flight.slot]
            if known and len(flights) == 1 and mark in {0, HELD, ENDED}:
                mark = FIRST  # nobody else can be to blame, and it must not go on for ever
            given_up = self._count(flight, mark, what) if mark not in {0, HELD, ENDED} else None
            if given_up is None:
                again.append(flight)
            else:
                yield flight, given_up
        for flight in again:  # one by one now, so that the next death costs nobody else
            self._send([flight])

    def _count(self, flight: _Flight, mark: int, what: str) -> Outcome | None:
        step = self._steps[mark - FIRST]
        flight.deaths[step] += 1
        if flight.deaths[step] >= self._options.attempts:
            times = f", {flight.deaths[step]} times" if flight.deaths[step] > 1 else ""
            reason = f"{_step_words(step)} {what}{times}"
            if step == "open":
                return Outcome(flight.order, unreadable(flight.order, reason))
            flight.order = replace(flight.order, skip={**flight.order.skip, step: reason})
        return None

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """See `Runner.settled`; nothing else stands for them here."""

    def close(self) -> None:
        """Stop the workers at once; what they hold was not collected and will be done again."""
        with self._closing:
            # Ctrl-C may meet a thread that is just being started, which nobody can wait for.
            if self._starting is not None and self._starting.is_alive():
                self._starting.join()
            self._processes.close()
            with suppress(BufferError, ValueError):
                self._marks.close()
            with suppress(OSError):
                self._marks_file.close()


def _outcome(flight: _Flight, answer: Answer) -> Outcome:
    if answer.error is not None:  # outside of any stage: the file could not even be examined
        return Outcome(flight.order, unreadable(flight.order, answer.error))
    stages = tuple(
        replace(stage, attempts=count + (stage.stage not in flight.order.skip))
        if (count := flight.deaths[stage.stage])
        else stage
        for stage in answer.stages
    )
    return Outcome(flight.order, answer.examined, stages, answer.already_known)


def _step_words(step: str) -> str:
    words = {"open": "reading", "header": "reading the header", "decode": "decoding"}
    return words.get(step, f"the stage {step}")


def _words(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"killed its worker (signal {Signals(-code).name})"
    return f"killed its worker (exit status {code})"
