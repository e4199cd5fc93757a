"""Which stages go over RabbitMQ by the settings, and through which queues."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from time import monotonic

from structlog.contextvars import get_contextvars

from caseframe.accounts.tokens import TokenMint, make_task_token
from caseframe.bus.options import AmqpOptions
from caseframe.catalog.database import Catalog
from caseframe.cli.captions import CAPTION, captions_wanted, registry_for
from caseframe.domain.correlation import LOGGED, new_id
from caseframe.domain.errors import UsageError
from caseframe.pipeline.exchange import Metrics, StageExchange
from caseframe.pipeline.jobs import Queued
from caseframe.pipeline.late import LateAnswers
from caseframe.pipeline.original import QUEUES
from caseframe.pipeline.progress import Progress
from caseframe.pipeline.rabbit import RabbitOptions, RabbitRunner
from caseframe.settings import Settings
from caseframe.stages.external import QueuedStage
from caseframe.stages.registry import Available, Registry
from caseframe.stages.stage import Stage

Stop = Callable[[], bool]


def queue_of(stage: Stage) -> str:
    """The queue of a stage's workers."""
    return stage.queue if isinstance(stage, QueuedStage) else QUEUES.get(stage.name, stage.name)


def queued_stages(settings: Settings, registry: Registry) -> tuple[Available, ...]:
    """Stages that workers do: those of the settings, those of other makers, and who needs them.

    Raises UsageError for a name that is no stage's.
    """
    for name in settings.queue_stages:
        registry.get(name)
    chosen = set(settings.queue_stages)
    for available in registry.stages:  # in working order, so one pass finds all that depend
        stage = available.stage
        if isinstance(stage, QueuedStage) or chosen.intersection(stage.after):
            chosen.add(stage.name)
    return tuple(available for available in registry.stages if available.stage.name in chosen)


def services_registry(settings: Settings) -> Registry:
    """All stages; what workers elsewhere do is taken to work there."""
    registry = registry_for(settings)
    there = {available.stage.name for available in queued_stages(settings, registry)}
    if not captions_wanted(settings):  # then their workers take none
        there.discard(CAPTION)
    stages = tuple(replace(a, reason=None) if a.stage.name in there else a for a in registry.stages)
    return replace(registry, stages=stages)


@dataclass(frozen=True)
class StageQueues:
    """The exchange of a job manager, with what its runners need."""

    exchange: StageExchange
    stages: Mapping[str, Stage]
    options: RabbitOptions
    tokens: TaskTokens

    def open(self, chosen: Sequence[Available], progress: Progress, stop: Stop) -> Queued | None:
        """The runner for those of the chosen stages that go over queues."""
        names = frozenset(a.stage.name for a in chosen) & self.stages.keys()
        if not names:
            return None

        def note(text: str) -> None:
            if progress.waiting != text:
                progress.waiting = text
                progress.changed()

        asked = str(get_contextvars().get(LOGGED) or new_id())
        options = replace(self.options, correlation_id=asked)
        runner = RabbitRunner(self.exchange, self.stages, options, self.tokens, stop, note)
        return Queued(names, runner)


class TaskTokens:
    """Tokens for the tasks of jobs; one lasts for many tasks, and is replaced at half its life."""

    def __init__(self, mint: TokenMint, life: timedelta) -> None:
        self._mint = mint
        self._life = life
        self._made: dict[str, tuple[float, str]] = {}

    def __call__(self, job_id: str) -> str:
        """A token that lets a worker read that job's files."""
        made = self._made.get(job_id)
        if made is None or monotonic() - made[0] > self._life.total_seconds() / 2:
            made = self._made[job_id] = monotonic(), make_task_token(self._mint, job_id, self._life)
        return made[1]


def task_tokens(settings: Settings, mint: TokenMint) -> TaskTokens:
    """Tokens that live as long as the settings say."""
    return TaskTokens(mint, timedelta(hours=settings.task_token_hours))


@contextmanager
def stage_queues(
    settings: Settings,
    registry: Registry,
    amqp: AmqpOptions,
    catalog: Catalog,
    mint: TokenMint,
    sources: bytes,
    metrics: Metrics,
) -> Iterator[StageQueues]:
    """The exchange of a job manager, connecting, until the block ends."""
    stages = {a.stage.name: a.stage for a in queued_stages(settings, registry)}
    queues = {name: queue_of(stage) for name, stage in stages.items()}
    if len(set(queues.values())) < len(queues):
        raise UsageError("setting external_stages: two stages have the same queue")
    late = LateAnswers(catalog, {queues[n]: stage for n, stage in stages.items()}, sources)
    exchange = StageExchange(amqp, queues.values(), late, metrics)
    options = RabbitOptions(
        sources=sources,
        queues=queues,
        in_flight=settings.in_flight,
        lease_seconds=settings.lease_seconds,
        attempts=settings.attempts,
    )
    exchange.start()
    try:
        yield StageQueues(exchange, stages, options, task_tokens(settings, mint))
    finally:
        exchange.close()
