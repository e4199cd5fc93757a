"""caseframe service jobs: scans the sources, sends tasks to the workers, keeps what they answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from caseframe.accounts.remote import remote_accounts
from caseframe.accounts.tokens import TokenMint
from caseframe.catalog import tally
from caseframe.catalog.database import Catalog
from caseframe.cli.assemble import settings_for
from caseframe.cli.captions import stage_runner
from caseframe.cli.service_common import (
    Readiness,
    amqp_options,
    catalog_trouble,
    jobs_tls,
    running,
    services_catalog,
    services_secret,
)
from caseframe.cli.stage_queues import StageQueues, services_registry, stage_queues
from caseframe.domain.errors import CaseframeError, UsageError
from caseframe.jobmanager.server import JobServices, serving
from caseframe.pipeline.exchange import Metrics
from caseframe.pipeline.manager import JobManager
from caseframe.settings import Settings

_GRACE_SECONDS = 20.0


def jobs(
    sources: Annotated[
        Path, typer.Option("--sources", help="Folder below which jobs find their pictures.")
    ],
    address: Annotated[
        str, typer.Option("--address", help="Where to listen: host:port.")
    ] = "127.0.0.1:5042",
) -> None:
    """Run the jobs: jobmanager.JobManagerController over gRPC.

    Reads the pictures, which workers elsewhere get from it; nobody else needs the folder. Needs
    PostgreSQL (catalog_url), RabbitMQ (amqp_url) and the secret that all services share
    (token_secret_file). Ends on SIGTERM; jobs at work go on with the next start.
    """
    settings = settings_for()
    if not sources.is_dir():
        raise UsageError(f"--sources {sources} is no folder")
    with _serving(settings, sources.absolute(), address) as (where, wait):
        secured = " with TLS" if jobs_tls(settings) else ""
        typer.echo(f"caseframe jobs: listening at {where}{secured}")
        wait()


@contextmanager
def _serving(
    settings: Settings, sources: Path, address: str
) -> Iterator[tuple[str, Callable[[], None]]]:
    """The service at work: where it listens, and what waits until it is asked to end."""
    mint = TokenMint(services_secret(settings))
    amqp = amqp_options(settings, "jobs")
    stages = services_registry(settings)
    registry = CollectorRegistry()
    ready = Readiness()
    with ExitStack() as stack:
        wait = stack.enter_context(running(settings, "jobs", ready, registry))
        catalog = stack.enter_context(services_catalog(settings))
        accounts = stack.enter_context(closing(remote_accounts(amqp, services_secret(settings))))
        queues = stack.enter_context(
            stage_queues(
                settings, stages, amqp, catalog, mint, os.fsencode(sources), Metrics(registry)
            )
        )
        manager = JobManager(catalog, stages, partial(stage_runner, settings), queues.open)
        services = JobServices(catalog, accounts, mint, manager, sources, stages.names())
        tls = jobs_tls(settings)
        where = stack.enter_context(serving(services, address, tls=tls, grace=_GRACE_SECONDS))
        manager.start()
        stack.callback(manager.close)
        registry.register(_Counts(catalog, queues))
        ready.checks = (
            partial(catalog_trouble, catalog),
            lambda: queues.exchange.trouble,
            lambda: manager.trouble,
        )
        yield where, wait


class _Counts(Collector):
    """Tasks by state and messages in queues, counted when Prometheus asks."""

    def __init__(self, catalog: Catalog, queues: StageQueues) -> None:
        self._catalog = catalog
        self._queues = queues

    def describe(self) -> list[Metric]:
        """Nothing before the first question: the catalog may be away."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What can be had now; what cannot is left out."""
        families = Families()
        try:
            with self._catalog.read() as connection:
                for (stage, state), count in tally.task_states(connection).items():
                    families.tasks.add_metric((stage, state), count)
            for name in sorted(set(self._queues.options.queues.values())):
                found = self._queues.exchange.look(name)
                if found is not None:
                    families.messages.add_metric((name,), found[0])
                    families.workers.add_metric((name,), found[1])
        except CaseframeError:
            return
        yield from families


class Families:
    """What is counted when it is asked for, empty at first."""

    def __init__(self) -> None:
        self.tasks = GaugeMetricFamily(
            "caseframe_tasks", "Tasks of all jobs by state.", labels=("stage", "state")
        )
        self.messages = GaugeMetricFamily(
            "caseframe_queue_messages", "Tasks that wait in a queue.", labels=("queue",)
        )
        self.workers = GaugeMetricFamily(
            "caseframe_queue_workers", "Workers that take tasks from a queue.", labels=("queue",)
        )

    def __iter__(self) -> Iterator[Metric]:
        yield from (self.tasks, self.messages, self.workers)
