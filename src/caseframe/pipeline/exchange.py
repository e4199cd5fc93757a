"""The job manager's side of RabbitMQ: tasks go out, answers come in and find who waits for them.

Whoever runs a job says which answers it expects. An answer that nobody expects (its job was
stopped, or this process was killed and started again) is handed to `late`, which writes it to the
catalog if it still belongs there. Every answer is acknowledged only when it is in the catalog.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from aio_pika.abc import AbstractChannel
from prometheus_client import CollectorRegistry, Counter, Histogram

from caseframe.bus import wire
from caseframe.bus.amqp import Bus, Delivery, Subscription
from caseframe.bus.options import AmqpOptions
from caseframe.bus.thread import LoopThread
from caseframe.domain.errors import BrokerAway, CaseframeError, Unroutable
from caseframe.domain.text import one_line

_log = structlog.get_logger(__name__)
_LOOK_SECONDS = 5.0
_LATE_BATCH = 200
_RETRY_SECONDS = 2.0
Key = tuple[str, str, bytes]
"""What tells one task under way from another: job, queue, path below the sources root."""


@dataclass(frozen=True)
class Arrival:
    """An answer with the message that it came in; `refused` is set for a dead letter."""

    result: wire.Result
    delivery: Delivery
    refused: str | None = None

    @property
    def key(self) -> Key:
        """Which task it answers."""
        return self.result.job_id, self.result.queue, self.result.path


Late = Callable[[Sequence[Arrival]], None]
"""Writes answers that nobody waits for; raises CaseframeError when it cannot now."""
Sink = Callable[[Arrival], None]


class Metrics:
    """What the exchange counts, for Prometheus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sent = Counter("caseframe_tasks_sent", "Tasks sent to queues.", ("queue",),
                            registry=registry)  # fmt: skip
        self.again = Counter("caseframe_tasks_sent_again", "Tasks that had to be sent again.",
                             ("queue",), registry=registry)  # fmt: skip
        self.answers = Counter("caseframe_answers", "Answers of workers.", ("queue", "how"),
                               registry=registry)  # fmt: skip
        self.seconds = Histogram("caseframe_stage_seconds", "Time of a stage for a picture.",
                                 ("queue",), registry=registry)  # fmt: skip
        self.dead = Counter("caseframe_dead_letters", "Tasks that became dead letters.", ("queue",),
                            registry=registry)  # fmt: skip


class StageExchange:
    """Sends tasks to `queues` and takes their answers. Its methods may come from any thread."""

    def __init__(
        self,
        options: AmqpOptions,
        queues: Iterable[str],
        late: Late,
        metrics: Metrics,
        *,
        unacknowledged: int = 20_000,
    ) -> None:
        self.metrics = metrics
        self._queues = tuple(dict.fromkeys(queues))
        self._late = late
        self._expected: dict[Key, Sink] = {}
        self._lates: queue.SimpleQueue[Arrival | None] = queue.SimpleQueue()
        self._loop = LoopThread("exchange")
        self._bus = self._loop.call(self._make(options, unacknowledged))
        self._closing = threading.Event()
        self._writer = threading.Thread(target=self._write_late, name="late", daemon=True)

    async def _make(self, options: AmqpOptions, unacknowledged: int) -> Bus:
        bus = Bus(options, self._declare)
        bus.subscribe(Subscription(wire.JOB_MANAGER, self._answered, unacknowledged))
        bus.subscribe(Subscription(wire.NOTICES, self._refused, 100))
        return bus

    def start(self) -> None:
        """Connect, now or when the broker comes. Raises UsageError for bad certificates."""
        self._writer.start()
        self._loop.call(self._bus.start())

    def wait(self, seconds: float) -> None:
        """Wait for the connection. Raises BrokerAway when there is none in time."""
        self._loop.call(self._bus.wait(seconds))

    async def _declare(self, channel: AbstractChannel) -> None:
        for name in (wire.JOB_MANAGER, *self._queues):
            await wire.declare(channel, name)
        await wire.declare_notices(channel)

    def close(self) -> None:
        """Take no more answers and disconnect; what was not written will be delivered again."""
        self._closing.set()
        self._loop.call(self._bus.close())
        if self._writer.is_alive():
            self._lates.put(None)
            self._writer.join(10)
        self._loop.close()

    @property
    def trouble(self) -> str | None:
        """Why there is no connection now; None while there is one."""
        return None if self._bus.connected else f"RabbitMQ: {self._bus.reason}"

    # ---- tasks out ----------------------------------------------------------------------------

    def expect(self, key: Key, sink: Sink) -> None:
        """Have answers to a task given to `sink`, which must not take long or raise."""
        self._expected[key] = sink

    def forget(self, key: Key) -> None:
        """Expect no answer any more; one that still comes is late."""
        self._expected.pop(key, None)

    def send(
        self, tasks: Sequence[tuple[wire.Task, dict[str, str]]], done: Callable[[int, Any], None]
    ) -> None:
        """Publish tasks with their headers.

        `done` is told of each by its place, with None once the broker has it safe in its queue, or
        with the error; it comes from another thread.
        """
        if tasks:
            self._loop.soon(self._start, tasks, done)

    def _start(
        self, tasks: Sequence[tuple[wire.Task, dict[str, str]]], done: Callable[[int, Any], None]
    ) -> None:
        for index, (task, headers) in enumerate(tasks):
            self._start_one(task, headers, index, done)

    def _start_one(
        self, task: wire.Task, headers: dict[str, str], index: int, done: Callable[[int, Any], None]
    ) -> None:
        work = asyncio.get_running_loop().create_task(
            self._bus.publish(
                task.encode(), task.queue, headers=headers,
                correlation_id=headers.get("x-correlation-id"),
            )
        )  # fmt: skip

        def told(ended: asyncio.Task[None]) -> None:
            # One that was cancelled is not confirmed either: whoever sent it must hear of it.
            cut = BrokerAway("RabbitMQ did not confirm a message") if ended.cancelled() else None
            done(index, cut or ended.exception())

        work.add_done_callback(told)

    def look(self, name: str) -> tuple[int, int] | None:
        """(messages that wait, consumers) of a queue; None where it is gone. Raises BrokerAway."""
        return self._loop.call(self._bus.look(name), _LOOK_SECONDS)

    def declare_again(self) -> None:
        """Have all queues declared anew, as one is gone."""
        self._loop.begin(self._bus.again())

    def settle(self, arrivals: Iterable[Arrival]) -> None:
        """Acknowledge answers that are in the catalog."""
        deliveries = [arrival.delivery for arrival in arrivals]
        if deliveries:
            self._loop.begin(_acknowledge(deliveries))

    def hand_late(self, arrivals: Iterable[Arrival]) -> None:
        """Have answers written that nobody waits for any more."""
        for arrival in arrivals:
            self._lates.put(arrival)

    # ---- answers in ---------------------------------------------------------------------------

    async def _answered(self, delivery: Delivery) -> None:
        try:
            result = wire.read_result(delivery.body)
        except wire.BadMessage as bad:
            await self._bury(delivery, str(bad))
            return
        if result.verdict is not None:
            self.metrics.seconds.labels(self._label(result.queue)).observe(result.verdict.seconds)
        self._hand_over(Arrival(result, delivery))

    async def _bury(self, delivery: Delivery, reason: str) -> None:
        """Keep a message that cannot be read, with the reason why."""
        _log.warning("answer.unreadable", reason=reason)
        self.metrics.dead.labels(wire.JOB_MANAGER).inc()
        headers = {**delivery.headers, wire.REASON: one_line(reason)}
        await self._bus.publish(
            delivery.body, wire.dead(wire.JOB_MANAGER), exchange=wire.DEAD_LETTERS, headers=headers
        )
        await delivery.ack()

    async def _refused(self, delivery: Delivery) -> None:
        """A dead letter: its task ends here, whoever refused it."""
        name = delivery.routing_key.removesuffix(".dead")
        if name != wire.JOB_MANAGER:
            self.metrics.dead.labels(self._label(name)).inc()
        if name == wire.JOB_MANAGER or wire.ANSWERED in delivery.headers:
            await delivery.ack()
            return
        try:
            task = wire.read_task(delivery.body)
        except wire.BadMessage:  # it stands in its dead-letter queue, and belongs to no task
            await delivery.ack()
            return
        result = wire.Result(
            name, task.job_id, task.path, task.md5, stage=task.stage, version=task.version,
            sha256=task.sha256, attempt=task.attempt,
        )  # fmt: skip
        self._hand_over(Arrival(result, delivery, _why(delivery, name)))

    def _hand_over(self, arrival: Arrival) -> None:
        sink = self._expected.get(arrival.key)
        how = "late" if sink is None else "refused" if arrival.refused else "answered"
        self.metrics.answers.labels(self._label(arrival.result.queue), how).inc()
        if sink is None:
            self._lates.put(arrival)
        else:
            sink(arrival)

    def _label(self, name: str) -> str:
        """A queue for the metrics, which remember every name for ever; workers may say any."""
        return name if name in self._queues else "other"

    def _write_late(self) -> None:
        while (first := self._lates.get()) is not None:
            batch = [first]
            while len(batch) < _LATE_BATCH:
                try:
                    more = self._lates.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    self._lates.put(None)
                    break
                batch.append(more)
            self._late_batch(batch)

    def _late_batch(self, batch: list[Arrival]) -> None:
        try:
            self._late(batch)
        except CaseframeError as error:  # they are not acknowledged, so nothing is lost meanwhile
            _log.warning("answers.late_unwritten", count=len(batch), reason=str(error))
            if not self._closing.wait(_RETRY_SECONDS):
                for arrival in batch:
                    self._lates.put(arrival)
            return
        except Exception as error:  # noqa: BLE001 - the boundary of one answer: a dead letter
            self._apart(batch, error)
            return
        counts = Tally(arrival.result.queue for arrival in batch)
        _log.info("answers.late", **{f"of_{name}": count for name, count in counts.items()})
        try:
            self.settle(batch)
        except BrokerAway:
            return

    def _apart(self, batch: list[Arrival], error: Exception) -> None:
        """A bug of ours may cost the answer that meets it, and none of its neighbours."""
        if len(batch) > 1:
            for arrival in batch:
                self._late_batch([arrival])
            return
        _log.error("answers.late_failed", exc_info=error)
        self._give_up(batch[0], error)

    def _give_up(self, arrival: Arrival, error: Exception) -> None:
        """Keep an answer that could not be written among the dead letters."""
        if arrival.refused is not None:  # it is one already
            self.settle([arrival])
            return
        reason = f"the answer could not be written: {type(error).__name__}: {error}"
        # Where the broker does not take it, it was not acknowledged either, and comes again.
        with suppress(BrokerAway, Unroutable):
            self._loop.call(self._bury(arrival.delivery, reason))


async def _acknowledge(deliveries: Sequence[Delivery]) -> None:
    for delivery in deliveries:
        await delivery.ack()


def _why(delivery: Delivery, name: str) -> str:
    died = wire.death(delivery.headers) or "refused"
    return wire.reason(delivery.headers) or f"its task became a dead letter of {name} ({died})"
