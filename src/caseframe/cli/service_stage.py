"""caseframe service stage: a worker of some stages, on any machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Annotated

import structlog
import typer
from prometheus_client import CollectorRegistry

from caseframe.bus.options import AmqpOptions
from caseframe.cli.assemble import local_runner, settings_for
from caseframe.cli.captions import CAPTION, UNWANTED, captions_wanted, stage_context
from caseframe.cli.service_common import Readiness, amqp_options, jobs_tls, running
from caseframe.cli.stage_queues import queue_of
from caseframe.domain.correlation import new_id
from caseframe.domain.errors import CaseframeError, OverLimit, ReadError, UsageError
from caseframe.jobmanager.client import AsyncJobsClient
from caseframe.pipeline.pool import OrderPool
from caseframe.pipeline.station import Station, StationMetrics, StationOptions
from caseframe.settings import Settings
from caseframe.stages.registry import load_stages
from caseframe.stages.stage import BatchStage, Stage, StageContext

_PATIENCE = 5.0  # the worker itself tries on for as long as it takes
# While its picture is fetched a worker holds it twice; two workers and 1 GB go well together.
_HELD_BYTES = 64_000_000  # for each worker process
_log = structlog.get_logger(__name__)


def stage(
    names: Annotated[list[str], typer.Argument(help="Stages to work for, such as: faces facts.")],
) -> None:
    """Work for one or more stages: take tasks, fetch their pictures, answer.

    Needs RabbitMQ (amqp_url) and the job manager (jobs_address); neither the catalog nor the
    folder of pictures. Start as many as you like, anywhere. Ends on SIGTERM when what it holds is
    answered.
    """
    settings = settings_for()
    amqp = amqp_options(settings, f"stage {' '.join(names)}")
    context = stage_context(settings)
    if CAPTION in names and not captions_wanted(settings):
        _log.warning("stage.idle", stage=CAPTION, reason=UNWANTED)
        names = [name for name in names if name != CAPTION]
        if not names:
            _idle(settings)
            return
    stages = [_able(name, context) for name in dict.fromkeys(names)]
    if settings.jobs_address is None:
        raise UsageError("set CASEFRAME_JOBS_ADDRESS to host:port of caseframe service jobs")
    if CAPTION in names and settings.vision_address is None:
        raise UsageError("set CASEFRAME_VISION_ADDRESS to host:port of caseframe service vision")
    together = settings.caption_batch if any(isinstance(s, BatchStage) for s in stages) else 1
    registry = CollectorRegistry()
    ready = Readiness()
    with ExitStack() as stack:
        pool = OrderPool(local_runner(settings, context, lambda: False, together))
        stack.enter_context(closing(pool))
        pool.start()
        wait = stack.enter_context(running(settings, f"stage {' '.join(names)}", ready, registry))
        asyncio.run(_work(settings, amqp, stages, pool, registry, ready, wait))


def _idle(settings: Settings) -> None:
    """Live and do nothing, so that whoever watches over all services is content."""
    with running(settings, f"stage {CAPTION}", lambda: None, CollectorRegistry()) as wait:
        wait()


def _away_seconds(settings: Settings) -> float:
    """How long tasks may wait here: the job manager, whose leases double, fails them later."""
    leases = (1 << min(settings.attempts, 3)) - 1
    return settings.lease_seconds * leases * 5 / 7


class _Pictures:
    """`Pictures` from the job manager; one over the limit cannot be had at all."""

    def __init__(self, client: AsyncJobsClient, most: int) -> None:
        self._client = client
        self._most = most

    async def fetch(self, path: bytes, token: str, correlation_id: str) -> bytes:
        """See `Pictures.fetch`."""
        try:
            return await self._client.fetch(
                path, token=token, correlation_id=correlation_id or new_id(), limit=self._most
            )
        except OverLimit as error:
            raise ReadError(f"{error} (max_file_bytes)") from error


def _able(name: str, context: StageContext) -> Stage:
    """The stage of that name. Raises CaseframeError when it cannot work here."""
    found = load_stages().get(name).stage
    reason = found.missing(context)
    if reason is not None:
        raise CaseframeError(f"the stage {name} cannot work here: {reason}")
    return found


async def _work(
    settings: Settings,
    amqp: AmqpOptions,
    stages: list[Stage],
    pool: OrderPool,
    registry: CollectorRegistry,
    ready: Readiness,
    wait: Callable[[], None],
) -> None:
    options = StationOptions(
        queues={stage.name: queue_of(stage) for stage in stages},
        prefetch=settings.prefetch,
        attempts=settings.attempts,
        deliveries=settings.deliveries,
        held_bytes=settings.workers * _HELD_BYTES,
        away_seconds=_away_seconds(settings),
    )
    async with AsyncJobsClient(
        settings.jobs_address or "", tls=jobs_tls(settings), patience=_PATIENCE
    ) as client:
        pictures = _Pictures(client, settings.max_file_bytes)
        station = Station(amqp, stages, pool, pictures, options, StationMetrics(registry))
        ready.checks = (lambda: station.trouble,)
        await station.start()
        try:
            await asyncio.to_thread(wait)
        finally:
            await station.close()
