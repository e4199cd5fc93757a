"""What a database that cannot be written does to the thread of the jobs, and who hears of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy.exc import InternalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection
from tests.support.manager import SECRET
from tests.support.waiting import eventually
from tests.support.web import clean_settings

from caseframe.catalog import jobs
from caseframe.catalog.database import Catalog, open_sqlite
from caseframe.cli import service_jobs
from caseframe.domain.errors import SourceError
from caseframe.domain.work import JobState
from caseframe.pipeline import manager as manager_module
from caseframe.pipeline.manager import JobManager
from caseframe.stages.registry import load_registry
from caseframe.stages.stage import StageContext

READ_ONLY = InternalError("UPDATE jobs", {}, psycopg.errors.ReadOnlySqlTransaction("read-only"))
DRAINED = NoConnection("QueuePool limit of size 5 overflow 10 reached")
THREAD_DIES = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@contextmanager
def _no_runner(*_: object) -> Iterator[Any]:
    raise SourceError("no workers today")
    yield


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = open_sqlite(tmp_path / "catalog.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def manager(catalog: Catalog, cache: Path) -> Iterator[JobManager]:
    """One whose jobs all fail."""
    made = JobManager(catalog, load_registry(StageContext(cache)), _no_runner)
    yield made
    made.close()


@pytest.fixture
def job(catalog: Catalog, tmp_path: Path) -> str:
    with catalog.begin() as connection:
        return jobs.create_job(connection, "a job", os.fsencode(tmp_path), ("exif",)).id


def breaking(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> Callable[[], bool]:
    """Have the end of a job not be written that often; whether all of it has happened."""
    left, write = list(errors), jobs.end_job

    def end_job(*arguments: Any, **more: Any) -> None:
        if left:
            raise left.pop(0)
        write(*arguments, **more)

    monkeypatch.setattr(jobs, "end_job", end_job)
    monkeypatch.setattr(manager_module, "_AGAIN_SECONDS", 0.01)
    return lambda: not left


@pytest.mark.parametrize("error", [READ_ONLY, DRAINED], ids=["read-only", "no connection"])
def test_an_end_that_the_database_refuses_is_written_when_it_takes_it(
    manager: JobManager, catalog: Catalog, job: str, monkeypatch: pytest.MonkeyPatch,
    error: SQLAlchemyError,
) -> None:  # fmt: skip
    breaking(monkeypatch, error, error)
    manager.start()
    manager.submit(job)
    eventually(lambda: manager.overview() == (None, ()))
    with catalog.read() as connection:
        found = jobs.get_job(connection, job)
    assert (found.state, found.reason) == (JobState.FAILED, "no workers today")
    assert manager.trouble is None


@THREAD_DIES
def test_a_thread_that_died_is_trouble_and_one_that_ended_is_none(
    manager: JobManager, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert manager.trouble is None
    breaking(monkeypatch, ZeroDivisionError("a mistake of ours"))
    manager.start()
    assert manager.trouble is None
    manager.submit(job)
    eventually(lambda: manager.trouble)
    assert "thread of the jobs has died" in (manager.trouble or "")
    manager.close()
    assert manager.trouble is None


def test_serve_is_not_ready_then(fresh_web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    web = fresh_web()
    client = web.client()
    assert client.get("/ready").status_code == 200
    monkeypatch.setattr(JobManager, "trouble", property(lambda _self: "it has died"))
    answer = client.get("/ready")
    assert (answer.status_code, "it has died" in answer.text) == (503, True)
    assert client.get("/health").status_code == 200


def test_nor_is_the_service_of_the_jobs(
    rabbitmq_server: str, made_postgresql: str, tmp_path: Path, cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings = clean_settings(
        cache, amqp_url=SecretStr(rabbitmq_server), catalog_url=made_postgresql,
        token_secret=SecretStr(SECRET), health_address="127.0.0.1:0",
    )  # fmt: skip
    doors: list[Any] = []

    @contextmanager
    def door(_settings: Any, _name: str, ready: Any, _registry: CollectorRegistry) -> Iterator[Any]:
        doors.append(ready)
        yield lambda: None

    monkeypatch.setattr(service_jobs, "running", door)
    with service_jobs._serving(settings, tmp_path, "127.0.0.1:0"):
        (ready,) = doors
        eventually(lambda: ready() is None)
        monkeypatch.setattr(JobManager, "trouble", property(lambda _self: "it has died"))
        assert ready() == "it has died"
