"""The queue of a server's jobs, with real jobs over real pictures and real workers."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, update
from tests import makers
from tests.support.forging import unseen
from tests.support.waiting import eventually

from caseframe.catalog import evidence, jobs, tally
from caseframe.catalog.database import Catalog, open_sqlite
from caseframe.catalog.tables import tasks
from caseframe.domain.errors import NotFound, SourceError, Stopped
from caseframe.domain.evidence import FileState
from caseframe.domain.work import JobState, TaskState
from caseframe.pipeline.local import LocalRunner
from caseframe.pipeline.manager import JobManager
from caseframe.pipeline.process import LocalOptions
from caseframe.pipeline.runner import Runner
from caseframe.stages.registry import Available, load_registry
from caseframe.stages.stage import StageContext

STAGES = ("exif", "similar")


class Bench:
    """A catalog, folders, and a manager whose runner can be held back by the test."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.cache = cache
        self.catalog: Catalog = open_sqlite(folder / "catalog.sqlite")
        self.gate = threading.Event()
        self.gate.set()
        self.opened: list[tuple[str, ...]] = []
        self.managers: list[JobManager] = []
        self.at_the_end: Callable[[], None] = lambda: None

    def manager(self) -> JobManager:
        made = JobManager(self.catalog, load_registry(StageContext(self.cache)), self.open_runner)
        self.managers.append(made)
        return made

    @contextmanager
    def open_runner(
        self, chosen: Sequence[Available], stop: Callable[[], bool]
    ) -> Iterator[Runner]:
        self.opened.append(tuple(a.stage.name for a in chosen))
        while not self.gate.wait(0.02):
            if stop():
                raise Stopped
        runner = LocalRunner(LocalOptions(workers=1, context=StageContext(self.cache)), stop)
        try:
            yield runner
        finally:
            runner.close()
            self.at_the_end()

    def job(self, name: str, pictures: int = 3) -> str:
        source = self.folder / name
        source.mkdir()
        for number in range(pictures):
            (source / f"{number}.jpg").write_bytes(makers.photo(64, 48, number))
        with self.catalog.begin() as connection:
            return jobs.create_job(connection, name, os.fsencode(source), STAGES).id

    def state(self, job_id: str) -> JobState:
        with self.catalog.read() as connection:
            return jobs.get_job(connection, job_id).state

    def wait(self, job_id: str, *states: JobState) -> JobState:
        until = time.monotonic() + 60
        while (state := self.state(job_id)) not in states:
            assert time.monotonic() < until, f"still {state}"
            time.sleep(0.02)
        return state

    def pictures(self, job_id: str) -> int:
        with self.catalog.read() as connection:
            return tally.progress(connection, job_id).files.get(FileState.PICTURE, 0)

    def close(self) -> None:
        self.gate.set()
        for manager in self.managers:
            manager.close()
        self.catalog.close()


@pytest.fixture
def bench(tmp_path: Path, cache: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, cache)
    yield made
    made.close()


def test_jobs_queue_and_are_done_in_turn(bench: Bench) -> None:
    first, second = bench.job("first"), bench.job("second")
    manager = bench.manager()
    manager.start()
    bench.gate.clear()
    manager.submit(first)
    while manager.progress(first) is None:
        time.sleep(0.01)
    manager.submit(second)
    assert bench.state(second) is JobState.QUEUED
    assert (manager.position(first), manager.position(second)) == (None, 1)
    bench.gate.set()
    for job in (first, second):
        assert bench.wait(job, JobState.FINISHED, JobState.FAILED) is JobState.FINISHED
        assert bench.pictures(job) == 3
    assert bench.opened == [STAGES, STAGES]


def test_a_job_that_waits_is_not_queued_twice(bench: Bench) -> None:
    job = bench.job("one")
    manager = bench.manager()
    for _ in range(3):
        manager.submit(job)
    assert manager.position(job) == 1
    manager.start()
    bench.wait(job, JobState.FINISHED)
    manager.close()
    assert len(bench.opened) == 1


def test_work_that_comes_for_a_job_at_work_is_done_when_it_ends(bench: Bench) -> None:
    """At the last moment, when the run has passed everything and the job is not let go yet."""
    job = bench.job("one")
    manager = bench.manager()

    def more_work() -> None:
        bench.at_the_end = lambda: None
        with bench.catalog.begin() as connection:
            connection.execute(update(tasks).values(state=TaskState.PENDING))
        manager.submit(job, walk=False)

    bench.at_the_end = more_work
    manager.start()
    manager.submit(job)
    eventually(lambda: len(bench.opened) == 2 and manager.overview() == (None, ()))
    assert bench.state(job) is JobState.FINISHED
    with bench.catalog.read() as connection:
        assert set(connection.scalars(select(tasks.c.state))) == {TaskState.DONE}


def _forge(picture: Path) -> bytes:
    """Put another content into a file, so that its size and time say nothing; its SHA-256."""
    data = bytearray(picture.read_bytes())
    data[-3] ^= 1
    with unseen(picture):
        picture.write_bytes(data)
    return hashlib.sha256(data).digest()


@pytest.mark.parametrize("waits", [True, False], ids=["waiting", "at work"])
def test_who_asks_for_every_byte_of_a_job_that_is_queued_gets_it(
    bench: Bench, *, waits: bool
) -> None:
    job = bench.job("one")
    manager = bench.manager()
    manager.start()
    manager.submit(job)
    bench.wait(job, JobState.FINISHED)
    digest = _forge(bench.folder / "one" / "1.jpg")
    bench.gate.clear()
    other = bench.job("other") if waits else job
    manager.submit(other)
    eventually(lambda: manager.progress(other) is not None)
    manager.submit(job, walk=False)
    manager.submit(job, rehash=True)
    bench.gate.set()
    eventually(lambda: manager.overview() == (None, ()))
    with bench.catalog.read() as connection:
        found = evidence.files_at(connection, job, [b"1.jpg"])[b"1.jpg"]
    assert found.sha256 == digest


def test_a_stop_takes_back_the_work_that_came_for_a_job_at_work(bench: Bench) -> None:
    job = bench.job("one")
    manager = bench.manager()
    bench.gate.clear()
    manager.start()
    manager.submit(job)
    eventually(lambda: manager.progress(job) is not None)
    manager.submit(job, walk=False)
    manager.stop_and_wait(job)
    assert manager.overview() == (None, ())
    assert bench.state(job) is JobState.STOPPED


def test_a_start_that_meets_a_stop_under_way_is_not_lost(bench: Bench) -> None:
    job = bench.job("one")
    manager = bench.manager()

    def stop_and_start() -> None:
        bench.at_the_end = lambda: None
        assert manager.stop(job)
        manager.submit(job)

    bench.at_the_end = stop_and_start
    manager.start()
    manager.submit(job)
    eventually(lambda: len(bench.opened) == 2 and manager.overview() == (None, ()))
    assert bench.state(job) is JobState.FINISHED


def test_the_end_of_the_server_keeps_the_work_that_came_for_a_job_at_work(bench: Bench) -> None:
    job = bench.job("one")
    first = bench.manager()
    bench.at_the_end = lambda: first.submit(job, walk=False)
    first.start()
    first.submit(job)
    eventually(lambda: bench.opened)
    first.close()
    bench.at_the_end = lambda: None
    assert bench.state(job) is JobState.QUEUED


def test_a_waiting_job_can_be_taken_out(bench: Bench) -> None:
    first, second = bench.job("first"), bench.job("second")
    manager = bench.manager()
    bench.gate.clear()
    manager.start()
    manager.submit(first)
    manager.submit(second)
    assert manager.stop(second)
    assert bench.state(second) is JobState.STOPPED
    assert not manager.stop(second)
    bench.gate.set()
    bench.wait(first, JobState.FINISHED)
    assert bench.pictures(second) == 0


def test_a_job_at_work_stops_and_goes_on_later(bench: Bench) -> None:
    job = bench.job("one", pictures=8)
    manager = bench.manager()
    bench.gate.clear()
    manager.start()
    manager.submit(job)
    while manager.progress(job) is None:
        time.sleep(0.01)
    manager.stop_and_wait(job)
    assert bench.wait(job, JobState.STOPPED) is JobState.STOPPED
    bench.gate.set()
    manager.submit(job)
    bench.wait(job, JobState.FINISHED)
    assert bench.pictures(job) == 8


@pytest.mark.parametrize("left", [JobState.RUNNING, JobState.QUEUED])
def test_a_new_server_goes_on_with_what_the_last_one_left(bench: Bench, left: JobState) -> None:
    """R18: also after a server that was killed and could say nothing."""
    job = bench.job("one")
    with bench.catalog.begin() as connection:
        if left is JobState.RUNNING:
            jobs.start_job(connection, job, STAGES)
        else:
            jobs.queue_job(connection, job)
    bench.manager().start()
    assert bench.wait(job, JobState.FINISHED) is JobState.FINISHED
    assert bench.pictures(job) == 3


def test_the_end_of_the_server_is_no_stop(bench: Bench) -> None:
    job = bench.job("one")
    first = bench.manager()
    bench.gate.clear()
    first.start()
    first.submit(job)
    while first.progress(job) is None:
        time.sleep(0.01)
    first.close()
    assert bench.state(job) is JobState.QUEUED
    bench.gate.set()
    bench.manager().start()
    assert bench.wait(job, JobState.FINISHED) is JobState.FINISHED


def test_a_job_that_fails_says_why_and_the_next_one_is_done(bench: Bench) -> None:
    gone, good = bench.job("gone", pictures=0), bench.job("good")
    (bench.folder / "gone").rmdir()
    manager = bench.manager()
    manager.submit(gone)
    manager.submit(good)
    manager.start()
    bench.wait(good, JobState.FINISHED)
    assert bench.wait(gone, JobState.FAILED) is JobState.FAILED
    with bench.catalog.read() as connection:
        assert "gone" in (jobs.get_job(connection, gone).reason or "")


def test_a_runner_that_cannot_be_made_fails_the_job(bench: Bench) -> None:
    job = bench.job("one")

    @contextmanager
    def broken(_chosen: Sequence[Available], _stop: Callable[[], bool]) -> Iterator[Runner]:
        raise SourceError("no workers today")
        yield

    manager = JobManager(bench.catalog, load_registry(StageContext(bench.cache)), broken)
    bench.managers.append(manager)
    manager.submit(job)
    manager.start()
    assert bench.wait(job, JobState.FAILED) is JobState.FAILED
    with bench.catalog.read() as connection:
        assert jobs.get_job(connection, job).reason == "no workers today"


def test_an_unknown_job_is_not_queued(bench: Bench) -> None:
    manager = bench.manager()
    with pytest.raises(NotFound):
        manager.submit("no-such-job")
    assert manager.position("no-such-job") is None
