"""Stages over RabbitMQ: tasks a second, how workers add up, a whole scan; against the plain way.

The workers are `caseframe service stage` processes; the job manager is in this process with a
PostgreSQL catalog of its own. The stages are plug-ins made here: one that does nothing, one that
sleeps 50 ms, one that computes for 50 ms.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aio_pika
from tests import makers
from tests.support import manager, plugins, postgresql, rabbitmq
from tests.support.workers import stage_worker

from bench.measure import job_seconds, run
from bench.report import Report
from caseframe.bus import wire
from caseframe.catalog import jobs
from caseframe.catalog.database import Catalog, open_postgresql
from caseframe.domain.work import JobState

_BODIES = {
    "nothing": "pass",
    "sleeps": "time.sleep(0.05)",
    "computes": "end = time.process_time() + 0.05\nwhile time.process_time() < end:\n    pass",
}
_TRIVIAL = 3000
_SLEEPY = _WHOLE = 400


@dataclass(frozen=True)
class _Place:
    """Where everything of the benchmark is."""

    folder: Path
    packages: Path
    cache: Path
    broker: str
    database: str


def bench(report: Report) -> None:
    """Print all figures; says so where a server is missing."""
    report.heading("Stages over RabbitMQ")
    with ExitStack() as stack:
        server = postgresql.server()
        if server is None:
            report.line("queues", "not measured: no PostgreSQL runs here")
            return
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(rabbitmq.for_tests())
        packages = folder / "packages"
        for name, body in _BODIES.items():
            plugins.install(packages, name, body, needs_picture=name != "nothing")
        _pictures(folder / "sources" / "many", _TRIVIAL)
        _pictures(folder / "sources" / "few", _WHOLE)
        database = stack.enter_context(postgresql.database(server))
        place = _Place(folder, packages, folder / "cache", broker, database)
        _trivial(report, place)
        _adding_up(report, place)
        _whole(report, place)


def _pictures(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    base = makers.photo(320, 240, 1)
    for number in range(count):  # bytes behind the end of a JPEG make it another file, no more
        (folder / f"{number:05}.jpg").write_bytes(base + b"%s %d" % (folder.name.encode(), number))


@contextmanager
def _system(place: _Place, catalog: Catalog) -> Iterator[manager.System]:
    external = tuple({"name": name, "title": name} for name in _BODIES)
    with manager.system(
        catalog, place.folder / "sources", place.broker, place.folder / "case", place.cache,
        queue_stages=(), external_stages=external,
    ) as made:  # fmt: skip
        yield made


@contextmanager
def _workers(
    place: _Place, made: manager.System, stage: str, count: int, **more: str
) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(
                stage_worker(place.broker, made.address, place.cache, stage,
                             packages=place.packages, **more)
            )  # fmt: skip
        yield


def _ingested(made: manager.System, folder: str) -> str:
    """A job whose pictures are in the catalog, with no stage done."""
    job = made.start(folder, ())
    assert made.finish(job).state is JobState.FINISHED
    return job


def _timed(made: manager.System, job: str, stage: str) -> float:
    """Seconds for a stage over all pictures of a job, from the order to the last row."""
    with made.catalog.begin() as connection:
        jobs.change_job(connection, job, stages=(stage,))
    began = time.perf_counter()
    made.manager.submit(job, walk=False)
    while (state := made.state(job).state) is not JobState.FINISHED:
        assert state is not JobState.FAILED, made.state(job).reason
        time.sleep(0.1)  # each look is a question to the catalog, and this process is measured too
    return time.perf_counter() - began


def _trivial(report: Report, place: _Place) -> None:
    catalog = open_postgresql(place.database)
    try:
        with _system(place, catalog) as made:
            job = _ingested(made, "many")
            with _workers(place, made, "nothing", 1, CASEFRAME_PREFETCH="64"):
                computed = time.process_time()
                seconds = _timed(made, job, "nothing")
                computed = (time.process_time() - computed) / _TRIVIAL
    finally:
        catalog.close()
    bare = asyncio.run(_bare(place.broker, _TRIVIAL))
    report.line("bare loop: publish with confirm, consume", f"{bare:,.0f} messages/s")
    ours = _TRIVIAL / seconds
    report.gain(
        "tasks that do nothing, against the bare loop", ours, bare, at_least=0.4, unit="tasks/s"
    )
    report.line("the job manager computes for each", f"{1000 * computed:.2f} ms")


async def _bare(url: str, count: int) -> float:
    """Messages a second of a plain aio-pika program; each waits for its confirm."""
    task = wire.Task("bare", "0" * 36, b"many/00000.jpg", "0" * 32, {"id": "1"}, "bare", "1")
    body, headers = task.encode(), wire.headers("t" * 300, "0" * 36)
    done = asyncio.Event()
    seen = 0
    connection = await aio_pika.connect(url)
    async with connection, connection.channel() as sending, connection.channel() as taking:
        await sending.declare_queue("bare", durable=True)
        await taking.set_qos(prefetch_count=64)
        queue = await taking.get_queue("bare")

        async def took(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            nonlocal seen
            await message.ack()
            seen += 1
            if seen == count:
                done.set()

        tag = await queue.consume(took)
        began = time.perf_counter()
        for _ in range(count):
            message = aio_pika.Message(body, headers=dict(headers), delivery_mode=2)
            await sending.default_exchange.publish(message, "bare", mandatory=True)
        await done.wait()
        seconds = time.perf_counter() - began
        await queue.cancel(tag)
        await sending.queue_delete("bare")
    return count / seconds


def _adding_up(report: Report, place: _Place) -> None:
    rates = {}
    for count in (1, 2, 8):
        with postgresql.database(postgresql.server() or "") as database:
            catalog = open_postgresql(database)
            try:
                with _system(place, catalog) as made:
                    job = _ingested(made, "few")
                    with _workers(place, made, "sleeps", count):
                        rates[count] = _SLEEPY / _timed(made, job, "sleeps")
            finally:
                catalog.close()
    report.line("one worker, a stage that sleeps 50 ms", f"{rates[1]:.1f} pictures/s")
    report.gain("two workers against one", rates[2], rates[1], at_least=1.8, unit="pictures/s")
    report.gain("eight workers against one", rates[8], rates[1], at_least=7, unit="pictures/s")


def _whole(report: Report, place: _Place) -> None:
    """A scan of new pictures with a stage that computes for 50 ms, two processes on both sides."""
    rates = {"embedded": _embedded(place), "services": _services(place)}
    report.line("a scan, embedded", f"{rates['embedded']:.1f} pictures/s")
    report.gain("a scan as services against embedded", rates["services"], rates["embedded"],
                at_least=0.8, unit="pictures/s")  # fmt: skip


def _services(place: _Place) -> float:
    with postgresql.database(postgresql.server() or "") as database:
        catalog = open_postgresql(database)
        try:
            with _system(place, catalog) as made, _workers(place, made, "computes", 2):
                done = made.finish(made.start("few", ("computes",)))
                assert done.state is JobState.FINISHED
                assert done.started_at is not None
                assert done.finished_at is not None
                return _WHOLE / (done.finished_at - done.started_at).total_seconds()
        finally:
            catalog.close()


def _embedded(place: _Place) -> float:
    """The same in one process tree, with the same kind of catalog."""
    with postgresql.database(postgresql.server() or "") as database:
        result = run(
            [sys.executable, "-m", "caseframe", "scan", str(place.folder / "sources" / "few"),
             "--case", str(place.folder / "embedded"), "--workers", "2", "--stages", "computes",
             "--json"],
            PYTHONPATH=str(place.packages), CASEFRAME_CATALOG_URL=database,
            CASEFRAME_CACHE_DIR=str(place.cache),
        )  # fmt: skip
    return _WHOLE / job_seconds(result)
