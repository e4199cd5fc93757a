"""A job manager with its queues in this process, over a real broker and a catalog of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from tests.support.web import WAIT, clean_settings

from caseframe.accounts.tokens import TokenMint
from caseframe.catalog import jobs
from caseframe.catalog.database import Catalog
from caseframe.cli.accounts import local_accounts
from caseframe.cli.captions import stage_runner
from caseframe.cli.service_common import amqp_options
from caseframe.cli.stage_queues import StageQueues, services_registry, stage_queues
from caseframe.domain.work import JobState
from caseframe.jobmanager.server import JobServices, serving
from caseframe.pipeline.exchange import Metrics
from caseframe.pipeline.manager import JobManager

SECRET = "pV7dQe2xZk9sLw4TnB8rYh3uJm6cGf1a"
_OVER = {JobState.FINISHED, JobState.STOPPED, JobState.FAILED}


@dataclass(frozen=True)
class System:
    """What was put together; `address` is where the job manager's gRPC listens."""

    catalog: Catalog
    manager: JobManager
    queues: StageQueues
    sources: Path
    address: str

    def start(self, folder: str, stages: tuple[str, ...]) -> str:
        """A new job over a folder of the sources, started; its id."""
        source = os.fsencode(self.sources / folder)
        with self.catalog.begin() as connection:
            job = jobs.create_job(connection, folder, source, stages)
        self.manager.submit(job.id)
        return job.id

    def state(self, job_id: str) -> jobs.Job:
        """The job as it stands."""
        with self.catalog.read() as connection:
            return jobs.get_job(connection, job_id)

    def finish(self, job_id: str) -> jobs.Job:
        """Wait until a job is over; how it ended."""
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            job = self.state(job_id)
            if job.state in _OVER:
                return job
            time.sleep(0.05)
        raise AssertionError(f"job {job_id} did not end: {self.manager.progress(job_id)}")


@contextmanager
def system(
    catalog: Catalog, sources: Path, url: str, folder: Path, cache: Path, **given: Any
) -> Iterator[System]:
    """A job manager over these sources; settings as `given`."""
    settings = clean_settings(cache, amqp_url=SecretStr(url), **given)
    registry = services_registry(settings)
    mint = TokenMint(SecretStr(SECRET))
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        queues = stack.enter_context(
            stage_queues(
                settings, registry, amqp_options(settings, "test"), catalog, mint,
                os.fsencode(sources), Metrics(CollectorRegistry()),
            )
        )  # fmt: skip
        queues.exchange.wait(WAIT)
        manager = JobManager(catalog, registry, partial(stage_runner, settings), queues.open)
        accounts = stack.enter_context(
            closing(local_accounts(catalog, folder, settings, "http://case.example.org"))
        )
        services = JobServices(
            catalog=catalog, accounts=accounts, mint=mint, manager=manager, sources=sources,
            stages=registry.names(),
        )  # fmt: skip
        address = stack.enter_context(serving(services, "127.0.0.1:0", grace=1.0))
        manager.start()
        stack.callback(manager.close)
        yield System(catalog, manager, queues, sources, address)
