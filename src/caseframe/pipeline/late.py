"""Answers that nobody waits for any more, written where they belong.

A job was stopped, or the job manager ended and came back, while workers had its tasks: their work
is not lost. What is already there, or has no place in the catalog, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

import structlog
from sqlalchemy.exc import DataError, IntegrityError, StatementError

from caseframe.catalog import evidence, recording
from caseframe.catalog.database import Catalog
from caseframe.catalog.jobs import get_job
from caseframe.domain.errors import NotFound
from caseframe.domain.text import one_line
from caseframe.domain.work import Order, Outcome, StageOutcome, TaskState
from caseframe.pipeline.answers import EXPIRED, is_of, outcome_of
from caseframe.pipeline.exchange import Arrival
from caseframe.stages.stage import Stage

_log = structlog.get_logger(__name__)


class LateAnswers:
    """Writes late answers to the catalog; `stages` are by queue, `sources` is the root's path."""

    def __init__(self, catalog: Catalog, stages: Mapping[str, Stage], sources: bytes) -> None:
        self._catalog = catalog
        self._stages = stages
        self._sources = sources.rstrip(b"/") + b"/"

    def __call__(self, arrivals: Sequence[Arrival]) -> None:
        """Write a batch. Raises CaseError when the catalog is away; then nothing was written."""
        by_job = attrgetter("result.job_id")
        for job_id, group in groupby(sorted(arrivals, key=by_job), key=by_job):
            outcomes = list(self._outcomes(job_id, list(group)))
            try:
                self._write(job_id, outcomes)
            except (DataError, IntegrityError, StatementError):
                for outcome in outcomes:
                    self._write_alone(job_id, outcome)

    def _write(self, job_id: str, outcomes: list[Outcome]) -> None:
        if outcomes:
            with self._catalog.begin() as connection:
                recording.record(connection, job_id, outcomes)

    def _write_alone(self, job_id: str, outcome: Outcome) -> None:
        try:
            self._write(job_id, [outcome])
        except (DataError, IntegrityError, StatementError) as error:
            _log.warning("answer.refused", job=job_id, reason=one_line(str(error.orig or error)))

    def _outcomes(self, job_id: str, arrivals: list[Arrival]) -> Iterator[Outcome]:
        """What of a job's answers is news."""
        with self._catalog.read() as connection:
            try:
                source = get_job(connection, job_id).source
            except NotFound:
                return
            paths = {arrival.result.path: self._path(source, arrival) for arrival in arrivals}
            known = evidence.open_tasks_at(
                connection, job_id, [path for path in paths.values() if path is not None]
            )
        seen: set[tuple[int, str]] = set()
        for arrival in arrivals:
            stage = self._stages.get(arrival.result.queue)
            path = paths[arrival.result.path]
            at = known.get(path) if path is not None else None
            if stage is None or at is None or (at.image_id, stage.name) in seen:
                continue
            if stage.version not in at.open.get(stage.name, ()):
                continue
            outcome = _outcome(stage, arrival, at)
            if outcome is not None and path is not None:
                seen.add((at.image_id, stage.name))
                order = Order(source, path, ingest=False, image_id=at.image_id, job_id=job_id)
                yield Outcome(order, None, (outcome,))

    def _path(self, source: bytes, arrival: Arrival) -> bytes | None:
        whole = self._sources + arrival.result.path
        below = source.rstrip(b"/") + b"/"
        return whole[len(below) :] if whole.startswith(below) else None


def _outcome(stage: Stage, arrival: Arrival, at: evidence.OpenTasks) -> StageOutcome | None:
    """What the answer says of the picture; None when it says nothing that lasts."""
    if not is_of(stage, arrival.result, at.sha256, at.md5):
        return None
    if arrival.refused is not None:
        return StageOutcome(
            stage.name, stage.version, TaskState.FAILED, reason=arrival.refused,
            attempts=max(1, arrival.result.attempt),
        )  # fmt: skip
    verdict = arrival.result.verdict
    if verdict is not None and verdict.state == EXPIRED:
        return None
    return outcome_of(stage, arrival.result)
