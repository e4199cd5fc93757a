"""The runner for many machines: each stage of each picture is a message to the stage's queue.

The catalog's rows say what is due; a queue is only transport. So a task counts as sent when the
broker confirmed that it lies in a queue, as done when its answer is in the catalog, and whatever
is lost between the two is sent again. A task that comes twice has one row all the same.
"""

from __future__ import annotations

import json
import os
import queue
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from caseframe.bus import wire
from caseframe.domain.errors import BrokerAway, CaseframeError, Stopped, Unroutable
from caseframe.domain.work import Order, Outcome, StageOutcome, TaskState
from caseframe.pipeline.answers import EXPIRED, is_of, outcome_of
from caseframe.pipeline.exchange import Arrival, Key, StageExchange
from caseframe.pipeline.original import record_keys
from caseframe.stages.stage import Stage

_log = structlog.get_logger(__name__)
_LOOK_UP_SECONDS = 0.2
_WATCH_SECONDS = 2.0


@dataclass(frozen=True)
class RabbitOptions:
    """How the runner works; `sources` is the folder that workers' paths are relative to."""

    sources: bytes
    queues: Mapping[str, str]
    """The queue of each stage by its name."""
    in_flight: int = 2000
    lease_seconds: float = 300.0
    """How long an answer may take that is in no queue any more, before the task is sent again."""
    attempts: int = 3
    """How often a task is sent that nobody answers, while the broker and its workers are there."""
    correlation_id: str = ""


@dataclass
class _Sent:
    """One stage of one picture under way; `at` is None until the broker has it.

    `others` is the version that an answer to another task had.
    """

    stage: Stage
    key: Key
    at: float | None = None
    tries: int = 0
    others: str | None = None


@dataclass
class _Flight:
    """One order under way."""

    order: Order
    path: bytes
    waiting: dict[str, _Sent] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    given: dict[str, Any] = field(default_factory=dict)
    outcomes: list[StageOutcome] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)


@dataclass(frozen=True)
class _Unsent:
    """A task that did not get into its queue."""

    flight: _Flight
    stage: str
    error: BaseException


_Event = Arrival | _Unsent | tuple[_Flight, str]


class RabbitRunner:
    """`Runner` over queues; the orders are for stages only, of pictures that are in the catalog.

    `token` gives what lets a worker read a job's files. `note` is told, in one line, what the work
    waits for, "" when for nothing.
    """

    def __init__(
        self,
        exchange: StageExchange,
        stages: Mapping[str, Stage],
        options: RabbitOptions,
        token: Callable[[str], str],
        stop: Callable[[], bool] = lambda: False,
        note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._exchange = exchange
        self._stages = stages
        self._options = options
        self._token = token
        self._stop = stop
        self._note = note
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._flights: dict[Key, _Flight] = {}
        self._unsent: deque[_Unsent] = deque()
        self._answered: dict[str, float] = {}
        self._unsettled: dict[tuple[str, bytes], list[Arrival]] = {}
        self._given_up: list[Outcome] = []
        self._left: list[Arrival] = []
        self._watched = time.monotonic()

    def run(self, orders: Iterable[Order | None]) -> Generator[Outcome, None, None]:
        """See `Runner.run`; None among the orders says that there may be more later."""
        try:
            yield from self._run(iter(orders))
        finally:
            for key in self._flights:
                self._exchange.forget(key)
            for flight in {id(one): one for one in self._flights.values()}.values():
                self._left += flight.arrivals
            self._flights.clear()
            self._note("")

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """See `Runner.settled`: the answers behind them are acknowledged."""
        settled: list[Arrival] = []
        for outcome in outcomes:
            settled += self._unsettled.pop((outcome.order.job_id, outcome.order.path), [])
        self._exchange.settle(settled)

    def close(self) -> None:
        """See `Runner.close`; tasks in queues stay there, and their answers find the catalog.

        So do answers that came and were not written because the run broke off.
        """
        for arrivals in self._unsettled.values():
            self._left += arrivals
        self._unsettled.clear()
        while not self._events.empty():
            event = self._events.get_nowait()
            if isinstance(event, Arrival):
                self._left.append(event)
        self._exchange.hand_late(self._left)
        self._left = []

    def _run(self, source: Iterator[Order | None]) -> Iterator[Outcome]:
        more = True
        while True:
            if self._stop():
                raise Stopped
            if more and len(self._flights) < self._options.in_flight:
                more = yield from self._take(source)
            if not more and not self._flights:
                return
            yield from self._ended()
            self._watch()
            yield from self._drained()

    def _drained(self) -> Iterator[Outcome]:
        given_up, self._given_up = self._given_up, []
        yield from given_up

    def _take(self, source: Iterator[Order | None]) -> Generator[Outcome, None, bool]:
        """Send orders until enough are under way; False when there are no more."""
        tasks: list[tuple[_Flight, str]] = []
        more = True
        while len(self._flights) < self._options.in_flight:
            try:
                order = next(source)
            except StopIteration:
                more = False
                break
            if order is None:
                break
            flight = _Flight(order, self._below(order), left=list(order.stages))
            flight.given = {name: json.loads(text) for name, text in order.given.items()}
            tasks += [(flight, stage) for stage in self._ready(flight)]
            if not flight.waiting:
                yield Outcome(order, None)
        self._send(tasks)
        return more

    def _below(self, order: Order) -> bytes:
        """The picture's path below the sources root. Raises CaseframeError for one elsewhere."""
        root = self._options.sources
        whole = os.path.join(order.root, order.path)
        if not whole.startswith(root.rstrip(b"/") + b"/"):
            raise CaseframeError(
                "the job's folder is not below the sources root of the job manager, so workers "
                "cannot read it; make a job over a folder below --sources"
            )
        return whole[len(root.rstrip(b"/")) + 1 :]

    def _ready(self, flight: _Flight) -> list[str]:
        """Stages of a picture whose turn it is: those they come after are done."""
        open_ones = {*flight.left, *flight.waiting}
        ready = [n for n in flight.left if not open_ones.intersection(self._stages[n].after)]
        for name in ready:
            flight.left.remove(name)
            key = (flight.order.job_id, self._options.queues[name], flight.path)
            flight.waiting[name] = _Sent(self._stages[name], key)
            self._flights[key] = flight
            self._exchange.expect(key, self._events.put)
        return ready

    def _send(self, tasks: Sequence[tuple[_Flight, str]]) -> None:
        events = self._events

        def done(index: int, error: BaseException | None) -> None:
            flight, stage = tasks[index]
            events.put((flight, stage) if error is None else _Unsent(flight, stage, error))

        self._exchange.send([(self._task(f, s), self._headers(f)) for f, s in tasks], done)

    def _headers(self, flight: _Flight) -> dict[str, str]:
        token = self._token(flight.order.job_id)
        return wire.headers(token, self._options.correlation_id)

    def _task(self, flight: _Flight, name: str) -> wire.Task:
        order, sent = flight.order, flight.waiting[name]
        record, source = order.record, os.fsdecode(flight.path.partition(b"/")[0])
        shown = order.path.rpartition(b"/")[2].decode("utf-8", "replace")
        keys = {} if record is None else record_keys(
            record, order.job_id, shown, source.encode("utf-8", "replace").decode())  # fmt: skip
        return wire.Task(
            queue=sent.key[1],
            job_id=order.job_id,
            path=flight.path,
            md5=record.md5 if record else "",
            record=keys,
            stage=name,
            version=sent.stage.version,
            sha256=_sha256(order),
            given={base: flight.given[base] for base in sent.stage.after if base in flight.given},
        )

    # ---- what happens meanwhile ---------------------------------------------------------------

    def _ended(self) -> Iterator[Outcome]:
        """Outcomes of what has come in; waits a moment for the first."""
        try:
            event = self._events.get(timeout=_LOOK_UP_SECONDS)
        except queue.Empty:
            return
        while True:
            yield from self._happened(event)
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                return

    def _happened(self, event: _Event) -> Iterator[Outcome]:
        if isinstance(event, Arrival):
            yield from self._arrived(event)
        elif isinstance(event, _Unsent):
            self._unsent.append(event)
        else:
            flight, stage = event
            if stage in flight.waiting:
                sent = flight.waiting[stage]
                sent.at, sent.tries = time.monotonic(), sent.tries + 1
                self._exchange.metrics.sent.labels(sent.key[1]).inc()

    def _arrived(self, arrival: Arrival) -> Iterator[Outcome]:
        flight = self._flights.get(arrival.key)
        name = next((n for n, s in flight.waiting.items() if s.key == arrival.key), None) if (
            flight is not None) else None  # fmt: skip
        if flight is None or name is None:  # a second answer to what was answered already
            self._exchange.settle([arrival])
            return
        if not is_of(self._stages[name], arrival.result, _sha256(flight.order) or "", _md5(flight)):
            _log.info("answer.of_another_task", stage=name, version=arrival.result.version)
            flight.waiting[name].others = arrival.result.version
            self._exchange.settle([arrival])
            return
        self._answered[arrival.key[1]] = time.monotonic()
        verdict = arrival.result.verdict
        if verdict is not None and verdict.state == EXPIRED:
            self._exchange.settle([arrival])
            self._again(flight, name)
            return
        flight.arrivals.append(arrival)
        yield from self._take_outcome(flight, name, self._outcome(name, arrival))

    def _outcome(self, name: str, arrival: Arrival) -> StageOutcome:
        stage = self._stages[name]
        if arrival.refused is not None:
            return _failed(stage, arrival.refused, arrival.result.attempt)
        return outcome_of(stage, arrival.result)

    def _take_outcome(self, flight: _Flight, name: str, outcome: StageOutcome) -> Iterator[Outcome]:
        """Note what became of one stage; send the ones that waited for it, or end the order."""
        sent = flight.waiting.pop(name)
        del self._flights[sent.key]
        self._exchange.forget(sent.key)
        flight.outcomes.append(outcome)
        if flight.left and outcome.state is TaskState.DONE:
            flight.given[name] = {} if outcome.payload is None else json.loads(outcome.payload)
        self._send([(flight, stage) for stage in self._ready(flight)])
        if not flight.waiting:
            self._unsettled[flight.order.job_id, flight.order.path] = flight.arrivals
            yield Outcome(flight.order, None, tuple(flight.outcomes))

    def _again(self, flight: _Flight, name: str) -> None:
        self._exchange.metrics.again.labels(flight.waiting[name].key[1]).inc()
        flight.waiting[name].at = None
        self._send([(flight, name)])

    # ---- what goes wrong ----------------------------------------------------------------------

    def _watch(self) -> None:
        """Every now and then: send again what did not get out, look after what got lost."""
        if time.monotonic() - self._watched < _WATCH_SECONDS:
            return
        self._watched = time.monotonic()
        if (trouble := self._exchange.trouble) is not None:
            self._note(f"waiting for {trouble}")
            return
        unsent, self._unsent = self._unsent, deque()
        if any(isinstance(one.error, Unroutable) for one in unsent):
            self._exchange.declare_again()
        for one in unsent:
            _log.info("task.unsent", stage=one.stage, reason=str(one.error))
            if one.stage in one.flight.waiting:
                self._again(one.flight, one.stage)
        try:
            notes = [self._look_after(name) for name in sorted({key[1] for key in self._flights})]
        except BrokerAway as error:
            notes = [f"waiting for {error}"]
        self._note("; ".join(note for note in notes if note))

    def _look_after(self, name: str) -> str:
        """Look whether a queue and its workers are there; what there is to say of it."""
        found = self._exchange.look(name)
        if found is None:
            self._exchange.declare_again()
            self._send_lost(name, everything=True)
            return f"the queue {name} was deleted; its tasks are sent again"
        waiting, consumers = found
        if not consumers:
            return f"no worker takes tasks from the queue {name}; start one"
        if not waiting:
            self._send_lost(name, everything=False)
        return ""

    def _send_lost(self, name: str, *, everything: bool) -> None:
        """Send again what is in no queue and was not answered for long: its worker is gone."""
        now, heard = time.monotonic(), self._answered.get(name, 0.0)
        for key, flight in list(self._flights.items()):
            stage, sent = next((n, s) for n, s in flight.waiting.items() if s.key == key)
            if key[1] != name or sent.at is None:
                continue
            lease = self._options.lease_seconds * 2 ** max(0, sent.tries - 1)
            if not everything and now - max(sent.at, heard) < lease:
                continue
            if not everything and sent.tries >= self._options.attempts:
                self._give_up(flight, stage)
            else:
                self._again(flight, stage)

    def _give_up(self, flight: _Flight, name: str) -> None:
        sent = flight.waiting[name]
        reason = f"no worker of the queue {sent.key[1]} answered; it was sent {sent.tries} times"
        if sent.others not in {None, sent.stage.version}:
            reason += f"; one answered for version {sent.others}: run the same release everywhere"
        _log.warning("task.given_up", stage=name, reason=reason)
        for outcome in self._take_outcome(flight, name, _failed(sent.stage, reason, sent.tries)):
            self._given_up.append(outcome)


def _md5(flight: _Flight) -> str:
    return flight.order.record.md5 if flight.order.record else ""


def _sha256(order: Order) -> str | None:
    return order.sha256.hex() if order.sha256 else None


def _failed(stage: Stage, reason: str, attempts: int) -> StageOutcome:
    return StageOutcome(
        stage.name, stage.version, TaskState.FAILED, reason=reason, attempts=max(1, attempts)
    )
