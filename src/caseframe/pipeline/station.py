"""The other end of the queues: takes tasks, fetches their pictures, runs the stage, answers.

A task is acknowledged when the broker has its answer safe. Pictures are fetched while others are at
work, so the network hides behind the work. The stages themselves run in the process pool, where a
picture that kills a decoder costs one process and nobody else's picture.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

import structlog
from aio_pika.abc import AbstractChannel
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from caseframe.bus import wire
from caseframe.bus.amqp import Bus, Delivery, Handler, Subscription
from caseframe.bus.options import AmqpOptions
from caseframe.domain.access import TokenRefused
from caseframe.domain.errors import BrokerAway, ReadError, ServiceAway, Unroutable
from caseframe.domain.text import one_line
from caseframe.domain.work import Order, Outcome, StageOutcome, TaskState
from caseframe.pipeline.answers import EXPIRED, payload_of
from caseframe.pipeline.budget import Budget
from caseframe.pipeline.original import to_message
from caseframe.pipeline.pool import OrderPool
from caseframe.pipeline.spool import Held, Spool
from caseframe.stages.stage import Stage, needs_picture

_log = structlog.get_logger(__name__)
_AWAY_SECONDS = 1.0
_STAGE_AWAY_SECONDS = 3.0  # each time the picture is read again
_MEGA = 1_000_000
T = TypeVar("T")


class Pictures(Protocol):
    """Where a worker gets pictures from."""

    async def fetch(self, path: bytes, token: str, correlation_id: str) -> bytes:
        """All bytes of a picture; the path is relative to the sources root.

        Raises ReadError when there is no such file or it changed, TokenRefused, ServiceAway.
        """


class StationMetrics:
    """What a worker counts, for Prometheus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.tasks = Counter("caseframe_worker_tasks", "Tasks answered.", ("stage", "state"),
                             registry=registry)  # fmt: skip
        self.retries = Counter("caseframe_worker_retries", "Tasks delivered again.", ("stage",),
                               registry=registry)  # fmt: skip
        self.dead = Counter("caseframe_worker_dead_letters", "Tasks given up.", ("stage",),
                            registry=registry)  # fmt: skip
        self.seconds = Histogram("caseframe_worker_stage_seconds", "Time of the stage itself.",
                                 ("stage",), registry=registry)  # fmt: skip
        self.fetched = Counter("caseframe_worker_fetched_bytes", "Bytes of pictures fetched.",
                               registry=registry)  # fmt: skip
        self.held = Gauge("caseframe_worker_held_tasks", "Tasks held now.", registry=registry)


@dataclass(frozen=True)
class StationOptions:
    """How a worker works."""

    queues: Mapping[str, str]
    """The queue of each of its stages, by the stage's name."""
    prefetch: int = 16
    attempts: int = 3
    """How often work that kills its process is tried."""
    deliveries: int = 20
    """How often a task may come because workers ended over it."""
    held_bytes: int = 128_000_000
    """What the pictures of all tasks at hand may take together; a larger one comes alone."""
    away_seconds: float = 1500.0
    """How long a task waits for what its stage needs; then it is answered as unavailable."""


class Station:
    """A worker of some stages. Make and use it inside one event loop."""

    def __init__(
        self,
        amqp: AmqpOptions,
        stages: Sequence[Stage],
        pool: OrderPool,
        pictures: Pictures,
        options: StationOptions,
        metrics: StationMetrics,
        spool: Spool | None = None,
    ) -> None:
        self._stages = {options.queues[stage.name]: stage for stage in stages}
        self._pool = pool
        self._pictures = pictures
        self._options = options
        self._metrics = metrics
        self._spool = spool or Spool()
        self._budget = Budget(options.held_bytes)
        self._closing = False
        self._waits: dict[object, str] = {}  # for what tasks at hand wait
        self._bus = Bus(amqp, self._declare)
        for queue in self._stages:
            self._bus.subscribe(Subscription(queue, self._took(queue), options.prefetch))

    async def _declare(self, channel: AbstractChannel) -> None:
        await wire.declare(channel, wire.JOB_MANAGER)
        for queue in self._stages:
            await wire.declare(channel, queue)

    async def start(self) -> None:
        """Connect, and begin with the first task that comes."""
        await self._bus.start()

    @property
    def trouble(self) -> str | None:
        """Why no task can be done now, or one has to wait; None when all is well."""
        if self._pool.reason is not None:
            return self._pool.reason
        if not self._bus.connected:
            return f"RabbitMQ: {self._bus.reason}"
        return next(iter(self._waits.values()), None)

    async def close(self) -> None:
        """Take no more tasks, end those at hand, answer them, and leave."""
        self._closing = True
        await self._bus.close()
        self._spool.close()

    # ---- one task -------------------------------------------------------------------------------

    def _took(self, queue: str) -> Handler:
        async def handle(delivery: Delivery) -> None:
            self._metrics.held.inc()
            try:
                await self._handle(queue, delivery)
            finally:
                self._metrics.held.dec()

        return handle

    async def _handle(self, queue: str, delivery: Delivery) -> None:
        stage = self._stages[queue]
        try:
            task = wire.read_task(delivery.body)
        except wire.BadMessage as bad:
            await self._bury(queue, delivery, str(bad))
            return
        correlation = wire.correlation(delivery.headers)
        with structlog.contextvars.bound_contextvars(
            correlation_id=correlation, job=task.job_id, stage=stage.name
        ):
            if delivery.redelivered:
                await self._once_more(queue, task, delivery)
            else:
                await self._do(queue, stage, task, delivery)

    async def _once_more(self, queue: str, task: wire.Task, delivery: Delivery) -> None:
        """Put a task that came before back, with the count in it; after too many it ends here."""
        self._metrics.retries.labels(self._stages[queue].name).inc()
        attempt = task.attempt + 1
        if attempt <= self._options.deliveries:
            # At the end of the queue: others may fare better with it.
            again = replace(task, attempt=attempt)
            await self._bus.publish(
                again.encode(), queue, headers=delivery.headers,
                correlation_id=delivery.correlation_id,
            )  # fmt: skip
            await delivery.ack()
            return
        reason = f"its workers ended {task.attempt} times while they had it"
        failed = _ended(self._stages[queue], TaskState.FAILED, reason, task.attempt)
        await self._answer(queue, task, failed, delivery)
        await self._bury(queue, delivery, reason, answered=True)

    async def _do(self, queue: str, stage: Stage, task: wire.Task, delivery: Delivery) -> None:
        if task.version is not None and task.version != stage.version:
            reason = f"this worker has version {stage.version} of {stage.name}"
            outcome = _ended(stage, TaskState.FAILED, reason)
        else:
            outcome = await self._worked(stage, task, delivery)
        await self._answer(queue, task, outcome, delivery)
        if outcome.attempts >= self._options.attempts > 1 and outcome.state is TaskState.FAILED:
            reason = outcome.reason or "it killed its worker"
            await self._bury(queue, delivery, reason, answered=True)
        else:
            await delivery.ack()

    async def _worked(self, stage: Stage, task: wire.Task, delivery: Delivery) -> StageOutcome:
        """What became of the task. Raises ServiceAway when we are to end before it is done."""
        if not needs_picture(stage):
            return await self._run(stage, task, self._spool.nothing())
        async with self._budget.share(_size_said(task)) as share:
            if self._closing:  # it waited for room, and nothing was done for it
                raise ServiceAway("this worker is ending")
            return await self._looked(stage, task, delivery, partial(self._budget.correct, share))

    async def _looked(
        self, stage: Stage, task: wire.Task, delivery: Delivery, note: Callable[[int], None]
    ) -> StageOutcome:
        """See `_worked`; `note` is told how many bytes the picture has."""
        correlation, token = wire.correlation(delivery.headers), wire.token(delivery.headers)
        try:
            data = await self._patiently(
                "picture.away", lambda: self._pictures.fetch(task.path, token, correlation)
            )
        except ReadError as error:
            return _ended(stage, TaskState.FAILED, str(error))
        except TokenRefused as error:
            return StageOutcome(stage.name, stage.version, TaskState.FAILED, reason=str(error),
                                attempts=0)  # fmt: skip
        note(len(data))
        self._metrics.fetched.inc(len(data))
        held = await self._patiently("spool.full", partial(self._put, data))
        del data
        try:
            return await self._run(stage, task, held)
        finally:
            self._spool.drop(held)

    async def _put(self, data: bytes) -> Held:
        return self._spool.put(data)

    async def _run(self, stage: Stage, task: wire.Task, held: Held) -> StageOutcome:
        order = Order(
            root=held.root,
            path=held.name,
            stages=(stage.name,),
            ingest=False,
            sha256=bytes.fromhex(task.sha256) if task.sha256 else None,
            given={base: json.dumps(result) for base, result in task.given.items()},
        )
        began = time.monotonic()

        async def work() -> StageOutcome:
            done = await self._patiently("workers.away", lambda: self._pool.do(order))
            outcome = _of(stage, done)
            if outcome.passing and time.monotonic() - began < self._options.away_seconds:
                raise ServiceAway(f"{stage.name}: {outcome.reason}")
            return outcome

        return await self._patiently("stage.away", work, _STAGE_AWAY_SECONDS)

    async def _patiently(
        self, event: str, work: Callable[[], Awaitable[T]], pause: float = _AWAY_SECONDS
    ) -> T:
        """What `work` gives, however long a part that it needs is away.

        To give the task back meanwhile would only send it in circles. Raises ServiceAway when we
        are to end.
        """
        wait = object()
        try:
            while True:
                try:
                    return await work()
                except ServiceAway as error:
                    _log.warning(event, reason=str(error))
                    if self._closing:
                        raise
                    self._waits[wait] = str(error)
                await asyncio.sleep(pause)
        finally:
            self._waits.pop(wait, None)

    async def _answer(
        self, queue: str, task: wire.Task, outcome: StageOutcome, delivery: Delivery
    ) -> None:
        """Tell the job manager; returns when the broker has it.

        Raises BrokerAway, also when the queue of answers is gone: then all is declared anew.
        """
        self._metrics.tasks.labels(outcome.stage, outcome.state.value).inc()
        self._metrics.seconds.labels(outcome.stage).observe(outcome.seconds)
        body = _result(queue, task, outcome).encode()
        try:
            await self._bus.publish(
                body, wire.JOB_MANAGER, headers=delivery.headers,
                correlation_id=delivery.correlation_id,
            )  # fmt: skip
        except Unroutable as error:
            await self._bus.again()
            raise BrokerAway(str(error)) from error

    async def _bury(
        self, queue: str, delivery: Delivery, reason: str, *, answered: bool = False
    ) -> None:
        """Keep the message among the dead letters with the reason, and be done with it."""
        _log.warning("task.dead_letter", queue=queue, reason=reason)
        self._metrics.dead.labels(self._stages[queue].name).inc()
        headers = {**delivery.headers, wire.REASON: one_line(reason)}
        if answered:
            headers[wire.ANSWERED] = "1"
        await self._bus.publish(
            delivery.body, wire.dead(queue), exchange=wire.DEAD_LETTERS, headers=headers
        )
        await delivery.ack()


def _size_said(task: wire.Task) -> int | None:
    """How large the picture is by its record; None where that does not say it."""
    said = task.record.get("filesize")
    if isinstance(said, int | float) and 0 <= said < _MEGA:
        return round(said * _MEGA)
    return None


def _of(stage: Stage, outcome: Outcome) -> StageOutcome:
    """The stage's part of an outcome; a failure where it was not even tried."""
    found = next((one for one in outcome.stages if one.stage == stage.name), None)
    if found is not None:
        return found
    reason = (outcome.examined.reason if outcome.examined else None) or "it could not be opened"
    return _ended(stage, TaskState.FAILED, reason)


def _ended(stage: Stage, state: TaskState, reason: str, attempts: int = 1) -> StageOutcome:
    return StageOutcome(stage.name, stage.version, state, reason=reason, attempts=attempts)


def _result(queue: str, task: wire.Task, outcome: StageOutcome) -> wire.Result:
    payload = payload_of(outcome)
    refused = outcome.attempts == 0  # the token: the task is sound, and comes with a new one
    failed = outcome.state is TaskState.FAILED and not refused
    return wire.Result(
        queue=queue,
        job_id=task.job_id,
        path=task.path,
        md5=task.md5,
        errors=(outcome.reason or "failed",) if failed else (),
        message=to_message(outcome.stage, payload, task.md5),
        result=payload,
        stage=outcome.stage,
        version=outcome.version if task.version is None else task.version,
        sha256=task.sha256,
        attempt=task.attempt,
        verdict=wire.Verdict(
            state=EXPIRED if refused else outcome.state.value,
            found=outcome.found,
            reason=outcome.reason,
            model=outcome.model,
            model_digest=outcome.model_digest,
            seconds=outcome.seconds,
            attempts=outcome.attempts,
            problems=outcome.problems,
        ),
    )
