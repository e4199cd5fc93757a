"""What the web asks of a job manager: the same suite in process and over gRPC."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import makers
from tests.support.jobs import Parts, job_server
from tests.support.people import Town
from tests.support.waiting import eventually

from caseframe.catalog import jobs
from caseframe.catalog.database import Catalog, open_sqlite
from caseframe.domain.errors import JobsAway, NotFound, Stopped, UsageError
from caseframe.domain.evidence import FileState
from caseframe.domain.work import JobState, TaskState
from caseframe.jobmanager.control import progress_message
from caseframe.jobmanager.remote import RemoteJobs, progress_of
from caseframe.pipeline.control import Jobs
from caseframe.pipeline.local import LocalRunner
from caseframe.pipeline.manager import JobManager
from caseframe.pipeline.process import LocalOptions
from caseframe.pipeline.progress import Progress
from caseframe.pipeline.runner import Runner
from caseframe.stages.registry import Available, load_registry
from caseframe.stages.stage import StageContext

NO_JOB = "00000000-0000-4000-8000-000000000000"


@dataclass
class Yard:
    """A manager at work whose jobs wait at a gate, and the way to it that is tested."""

    folder: Path
    catalog: Catalog
    jobs: Jobs
    gate: threading.Event
    deaf: threading.Event
    """Set, a job at the gate does not hear that it should stop."""

    def job(self, name: str) -> str:
        source = self.folder / name
        source.mkdir()
        for number in range(3):
            (source / f"{number}.jpg").write_bytes(makers.photo(64, 48, number))
        with self.catalog.begin() as connection:
            return jobs.create_job(connection, name, os.fsencode(source), ("exif",)).id

    def state(self, job_id: str) -> JobState:
        with self.catalog.read() as connection:
            return jobs.get_job(connection, job_id).state


@pytest.fixture(params=["in process", "over gRPC"])
def yard(request: pytest.FixtureRequest, tmp_path: Path, cache: Path) -> Iterator[Yard]:
    gate, deaf = threading.Event(), threading.Event()
    gate.set()

    @contextmanager
    def open_runner(_chosen: Sequence[Available], stop: Callable[[], bool]) -> Iterator[Runner]:
        while not gate.wait(0.02):
            if stop() and not deaf.is_set():
                raise Stopped
        options = LocalOptions(workers=1, context=StageContext(cache))
        with closing(LocalRunner(options, stop)) as runner:
            yield runner

    with ExitStack() as stack:
        catalog = open_sqlite(tmp_path / "catalog.sqlite")
        stack.callback(catalog.close)
        manager = JobManager(catalog, load_registry(StageContext(cache)), open_runner)
        manager.start()
        stack.callback(manager.close)
        stack.callback(gate.set)
        way: Jobs = manager
        if request.param == "over gRPC":
            way = stack.enter_context(remote(catalog, manager, tmp_path))
        yield Yard(tmp_path, catalog, way, gate, deaf)


@contextmanager
def remote(catalog: Catalog, manager: JobManager, folder: Path) -> Iterator[RemoteJobs]:
    town = Town(catalog)
    parts = Parts(town, manager)
    mint = town.local.mint
    with (
        closing(town),
        job_server(parts, folder, mint=mint) as address,
        closing(RemoteJobs(address, mint)) as made,
    ):
        made.check()
        yield made


def test_a_job_is_done(yard: Yard) -> None:
    job = yard.job("one")
    yard.jobs.submit(job)
    eventually(lambda: yard.state(job) is JobState.FINISHED)
    eventually(lambda: yard.jobs.progress(job) is None)
    assert yard.jobs.position(job) is None


def test_jobs_wait_in_their_order(yard: Yard) -> None:
    yard.gate.clear()
    first, second, third = (yard.job(name) for name in ("first", "second", "third"))
    yard.jobs.submit(first)
    eventually(lambda: yard.jobs.progress(first) is not None)
    for job in (second, third, second):
        yard.jobs.submit(job)
    assert [yard.jobs.position(job) for job in (first, second, third)] == [None, 1, 2]
    assert yard.jobs.progress(second) is None
    assert yard.jobs.stop(second)
    assert [yard.jobs.position(job) for job in (first, second, third)] == [None, None, 1]
    assert yard.state(second) is JobState.STOPPED
    yard.gate.set()
    eventually(lambda: yard.state(third) is JobState.FINISHED)


def test_a_job_that_is_not_there(yard: Yard) -> None:
    with pytest.raises(NotFound, match="no job"):
        yard.jobs.submit(NO_JOB)
    assert yard.jobs.stop(NO_JOB) is False
    yard.jobs.stop_and_wait(NO_JOB)
    assert yard.jobs.progress(NO_JOB) is None
    assert yard.jobs.position(NO_JOB) is None


def test_stopping_a_job_at_work(yard: Yard) -> None:
    yard.gate.clear()
    job = yard.job("one")
    yard.jobs.submit(job)
    eventually(lambda: yard.jobs.progress(job) is not None)
    yard.jobs.stop_and_wait(job)
    assert yard.state(job) is JobState.STOPPED
    assert yard.jobs.stop(job) is False
    yard.gate.set()
    yard.jobs.submit(job)
    eventually(lambda: yard.state(job) is JobState.FINISHED)


def test_a_job_that_does_not_end_in_time(yard: Yard) -> None:
    yard.gate.clear()
    yard.deaf.set()
    job = yard.job("one")
    yard.jobs.submit(job)
    eventually(lambda: yard.jobs.progress(job) is not None)
    with pytest.raises(UsageError, match="still ending"):
        yard.jobs.stop_and_wait(job, 0.2)
    yard.deaf.clear()
    eventually(lambda: yard.state(job) is JobState.STOPPED)


def test_work_that_is_due_can_be_done_without_a_walk(yard: Yard) -> None:
    job = yard.job("one")
    yard.jobs.submit(job)
    eventually(lambda: yard.state(job) is JobState.FINISHED)
    (yard.folder / "one" / "new.jpg").write_bytes(makers.photo(64, 48, 9))
    eventually(lambda: yard.jobs.progress(job) is None)
    with yard.catalog.begin() as connection:
        jobs.end_job(connection, job, JobState.STOPPED)
    yard.jobs.submit(job, walk=False)
    eventually(lambda: yard.state(job) is JobState.FINISHED)
    with yard.catalog.read() as connection:
        assert len(connection.exec_driver_sql("SELECT id FROM files").all()) == 3


def test_work_that_is_due_does_not_finish_a_job_that_was_not_walked(yard: Yard) -> None:
    """There are files that nobody has met, and who asks must hear of it."""
    job = yard.job("one")
    yard.jobs.submit(job, walk=False)
    eventually(lambda: yard.state(job) is JobState.STOPPED)
    yard.jobs.submit(job)
    eventually(lambda: yard.state(job) is JobState.FINISHED)
    yard.gate.clear()
    yard.jobs.submit(job)
    eventually(lambda: yard.jobs.progress(job) is not None)
    yard.jobs.stop_and_wait(job)
    yard.gate.set()
    yard.jobs.submit(job)
    eventually(lambda: yard.state(job) is JobState.FINISHED)


# ---- what only the way over gRPC can do -----------------------------------------------------


def test_progress_travels_whole() -> None:
    run = Progress(
        phase="stages", total=None, seen=7, unchanged=1, examined=5, bytes_read=1 << 40,
        states=Counter({FileState.PICTURE: 4, FileState.CORRUPT: 1}),
        stages={"exif": Counter({TaskState.DONE: 3}), "faces": Counter()},
        stage_total=9, stage_done=3, current="Réné\ufffd.jpg", waiting="for workers",
    )  # fmt: skip
    run.changed()
    run.samples[0] = type(run.samples[0])(run.samples[0].at - 10, 1, {"exif": 1})
    run.samples.append(type(run.samples[0])(time.monotonic(), 6, {"exif": 3}))
    there = progress_of(progress_message(run), time.monotonic())
    for name in ("phase", "total", "seen", "unchanged", "examined", "bytes_read", "states",
                 "stages", "stage_total", "stage_done", "current", "waiting",
                 "finished_files"):  # fmt: skip
        assert getattr(there, name) == getattr(run, name), name
    assert there.started == pytest.approx(run.started, abs=1)
    assert there.file_rate() == pytest.approx(run.file_rate(), abs=0.1)
    assert there.stage_rate("exif") == pytest.approx(run.stage_rate("exif"), abs=0.1)


def test_orders_fail_and_questions_have_no_answer_while_it_is_away(tmp_path: Path) -> None:
    catalog = open_sqlite(tmp_path / "catalog.sqlite")
    town = Town(catalog)
    with (
        closing(catalog),
        closing(town),
        closing(RemoteJobs("127.0.0.1:1", town.local.mint)) as away,
    ):
        for order in (
            lambda: away.submit(NO_JOB), lambda: away.stop(NO_JOB),
            lambda: away.stop_and_wait(NO_JOB, 0.1), away.check,
        ):  # fmt: skip
            with pytest.raises(JobsAway, match="does not answer"):
                order()
        assert away.progress(NO_JOB) is None
        assert away.position(NO_JOB) is None
