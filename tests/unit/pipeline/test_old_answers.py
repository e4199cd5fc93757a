"""Answers to tasks that lay in a queue while the stage or the picture changed: not to the new one.

R8: whoever answers last must not be taken for whoever was asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests import makers
from tests.support import queues
from tests.support.outcomes import failed, outcome, write
from tests.support.waiting import eventually

from caseframe.bus import wire
from caseframe.catalog import evidence, jobs, work
from caseframe.catalog.database import Catalog
from caseframe.domain.work import TaskState
from caseframe.pipeline.exchange import Arrival, Metrics
from caseframe.pipeline.late import LateAnswers
from caseframe.pipeline.rabbit import RabbitOptions, RabbitRunner

STAGES = queues.stages_of(["similar"])
VERSION = STAGES["similar"].version
FAILED = wire.Verdict("failed", reason="an old reason")
NOTHING = wire.Verdict("done", found=False)
OTHER = hashlib.sha256(b"other").hexdigest()


class Answering:
    """In place of the exchange: each task is answered at once with what the test says."""

    trouble = None

    def __init__(self, answers: Callable[[wire.Task], Iterable[Arrival]]) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.settled: list[Arrival] = []
        self._answers = answers
        self._sinks: dict[Any, Any] = {}

    def expect(self, key: Any, sink: Any) -> None:
        self._sinks[key] = sink

    def forget(self, key: Any) -> None:
        del self._sinks[key]

    def send(
        self, tasks: Sequence[tuple[wire.Task, Any]], done: Callable[[int, Any], None]
    ) -> None:
        for index, (task, _headers) in enumerate(tasks):
            done(index, None)
            for arrival in self._answers(task):
                self._sinks[arrival.key](arrival)

    def settle(self, arrivals: Iterable[Arrival]) -> None:
        self.settled += arrivals

    def hand_late(self, _arrivals: Iterable[Arrival]) -> None:
        """Nothing is late here."""


def answer(task: wire.Task, verdict: wire.Verdict = NOTHING, **changes: Any) -> Arrival:
    result = wire.Result(
        task.queue, task.job_id, task.path, task.md5, stage=task.stage, version=task.version,
        sha256=task.sha256, verdict=verdict,
    )  # fmt: skip
    refused = changes.pop("refused", None)
    return Arrival(replace(result, **changes), None, refused)  # type: ignore[arg-type]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "trip" / "a.jpg"
    file.parent.mkdir()
    file.write_bytes(makers.photo(96, 64, 1))
    return file


def ran(picture: Path, *made: Callable[[wire.Task], Arrival]) -> tuple[Any, Answering]:
    """What becomes of one picture whose task is answered like that."""
    exchange: Any = Answering(lambda task: [one(task) for one in made])
    options = RabbitOptions(bytes(picture.parent.parent), queues.queue_names(["similar"]))
    runner = RabbitRunner(exchange, STAGES, options, lambda _job: "token")
    order = queues.order(picture.parent, picture, ["similar"])
    (found,) = runner.run([order])
    runner.settled([found])
    return found.stages[0], exchange


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "0"},
        {"sha256": OTHER},
        {"version": None, "sha256": None, "md5": "0" * 32},
        {"version": "0", "refused": "its worker died"},
    ],
    ids=["version", "content", "content by the original's key", "dead letter"],
)
def test_an_answer_to_another_task_does_not_end_this_one(
    picture: Path, changes: dict[str, Any]
) -> None:
    said, exchange = ran(picture, lambda task: answer(task, FAILED, **changes), answer)
    assert (said.state, said.version) == (TaskState.DONE, VERSION)
    assert len(exchange.settled) == 2  # or it would come again for ever


def test_an_answer_that_names_neither_is_taken(picture: Path) -> None:
    said, exchange = ran(picture, lambda task: answer(task, version=None, sha256=None))
    assert said.state is TaskState.DONE
    assert len(exchange.settled) == 1


def test_a_worker_of_another_version_refuses_in_the_name_of_the_task(
    rabbitmq_server: str, picture: Path, cache: Path
) -> None:
    heard: list[Arrival] = []
    task = wire.Task(
        "similar", "job-1", b"trip/a.jpg", "0" * 32, stage="similar", version="0", sha256=OTHER
    )
    with (
        queues.worker(rabbitmq_server, ["similar"], queues.FolderPictures(picture.parent), cache),
        queues.exchange(rabbitmq_server, ["similar"], heard.extend) as exchange,
    ):
        exchange.send([(task, wire.headers("token", "case-7"))], lambda _index, _error: None)
        eventually(lambda: heard)
    result = heard[0].result
    assert result.verdict is not None
    assert (result.version, result.sha256, result.verdict.state) == ("0", OTHER, "failed")
    assert f"this worker has version {VERSION}" in (result.verdict.reason or "")


def test_a_late_answer_to_another_task_leaves_the_open_one_open(catalog: Catalog) -> None:
    with catalog.begin() as connection:
        job = jobs.create_job(connection, "a job", b"/source", ("similar",)).id
    write(catalog, job, outcome(b"a.jpg", b"x", failed("exif")))
    with catalog.begin() as connection:
        work.plan_tasks(connection, job, "similar", VERSION)
    with catalog.read() as connection:
        at = evidence.open_tasks_at(connection, job, [b"a.jpg"])[b"a.jpg"]
    late = LateAnswers(catalog, {"similar": STAGES["similar"]}, b"/")
    task = wire.Task(
        "similar", job, b"source/a.jpg", at.md5, stage="similar", version=VERSION, sha256=at.sha256
    )

    def still_open() -> bool:
        with catalog.read() as connection:
            (row,) = work.count_tasks(connection, job, {"similar": VERSION})
        return row.state is TaskState.PENDING

    for changes in ({"version": "0"}, {"sha256": OTHER}):
        for refused in (None, "its worker died"):
            late([answer(task, FAILED, refused=refused, **changes)])
            assert still_open(), changes
    late([answer(task, FAILED, version="0"), answer(task)])
    assert not still_open()
