"""Collecting outcomes: in batches, each whole, and no bad one takes others along."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy.exc import DataError, IntegrityError, StatementError

from caseframe import logs
from caseframe.catalog import recording
from caseframe.catalog.database import Catalog
from caseframe.domain.errors import CatalogRefused
from caseframe.domain.evidence import (
    PICTURE_STATES,
    Examined,
    FileState,
    content_changed,
    path_text,
)
from caseframe.domain.text import one_line, storable
from caseframe.domain.work import Outcome, StageOutcome, TaskState
from caseframe.pipeline.progress import Progress

# What a database says of one row, and not of itself. SQLite's driver has its own word for a number
# that is too large.
_REFUSED = (DataError, IntegrityError, StatementError, OverflowError, CatalogRefused)
_BATCH = 256
_SECONDS = 1.0


class Collector:
    """Takes outcomes of one job and writes them.

    `versions` are the stages' versions by name; `absent` are outcomes that every new picture gets
    of the chosen stages that are not run along with it: those that cannot work here, and those
    whose turn comes later. `settled` is told what has been written.
    """

    def __init__(
        self,
        catalog: Catalog,
        job: str,
        versions: Mapping[str, str],
        absent: Sequence[StageOutcome],
        progress: Progress,
        settled: Callable[[Sequence[Outcome]], None] = lambda _outcomes: None,
    ) -> None:
        self._catalog = catalog
        self._job = job
        self._versions = versions
        self._absent = tuple(absent)
        self._settled = settled
        self._progress = progress
        self._waiting: list[Outcome] = []
        self._since = time.monotonic()

    def add(self, outcome: Outcome) -> None:
        """Take one outcome; it is in the catalog at the latest after the next `flush`."""
        self._waiting.append(self._completed(outcome))
        if len(self._waiting) >= _BATCH or time.monotonic() - self._since > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits, in one transaction. Raises CaseError; then nothing was written."""
        batch = self._waiting
        if batch:
            written = batch
            try:
                self._write(batch)
            except _REFUSED as error:
                logs.warn(__name__, "collect.batch_refused", reason=one_line(str(error)))
                written = [self._write_alone(outcome) for outcome in batch]
            self._waiting = []
            self._settled(batch)
            self._report(written)
        self._since = time.monotonic()

    def _write(self, batch: list[Outcome]) -> None:
        def once() -> None:
            with self._catalog.begin() as connection:
                recording.record(connection, self._job, batch)

        self._catalog.patiently(once)

    def _write_alone(self, outcome: Outcome) -> Outcome:
        """Write one outcome, or what is left of it without what the database refuses; that is it.

        First its results are left out, then all that is known of the file but that it is there.
        """
        try:
            self._write([outcome])
        except _REFUSED as error:
            return self._write_without_results(outcome, _words(error))
        return outcome

    def _write_without_results(self, outcome: Outcome, said: str) -> Outcome:
        reason = one_line(f"the result could not be stored: {said}")
        failed = tuple(_refused(stage, reason) for stage in outcome.stages)
        without = replace(outcome, stages=failed)
        try:
            self._write([without])
        except _REFUSED as error:
            if not outcome.order.ingest or outcome.examined is None:
                raise
            without = _unreadable(outcome, outcome.examined, _words(error))
            self._write([without])
        return without

    def _completed(self, outcome: Outcome) -> Outcome:
        """With the note of a changed content, and a failure for each stage that was not tried."""
        examined = outcome.examined
        if outcome.already_known:
            return replace(outcome, examined=_with_change_noted(outcome, examined))
        noted = _with_change_noted(outcome, examined)
        if outcome.order.ingest and examined and examined.state not in PICTURE_STATES:
            return replace(outcome, examined=noted)
        tried = {stage.stage for stage in outcome.stages}
        reason = (examined.reason if examined else None) or "the picture could not be opened"
        skipped = tuple(
            StageOutcome(name, self._versions[name], TaskState.FAILED, reason=storable(reason))
            for name in outcome.order.stages
            if name not in tried
        )
        absent = self._absent if outcome.order.ingest else ()
        if noted is examined and not skipped and not absent:
            return outcome
        return replace(outcome, examined=noted, stages=(*outcome.stages, *skipped, *absent))

    def _report(self, batch: list[Outcome]) -> None:
        progress = self._progress
        for outcome in batch:
            examined = outcome.examined
            if outcome.order.ingest and examined is not None:
                progress.examined += 1
                # What was hashed was read; of anything else, at most its first bytes were.
                progress.bytes_read += examined.size if examined.digests else 0
                progress.states[examined.state] += 1
            else:
                progress.stage_done += 1
            for stage in outcome.stages:
                progress.stages[stage.stage][stage.state] += 1
            progress.current = path_text(outcome.order.path)
        progress.changed()


def _words(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error)


def _unreadable(outcome: Outcome, examined: Examined, said: str) -> Outcome:
    """The file with nothing but its size, time and digests, and why."""
    reason = one_line(f"what is known of it could not be stored: {said}")
    bare = Examined(
        FileState.UNREADABLE, examined.size, examined.modified_ns, reason, digests=examined.digests
    )
    return replace(outcome, examined=bare, stages=(), already_known=False)


def _refused(stage: StageOutcome, reason: str) -> StageOutcome:
    return StageOutcome(
        stage.stage, stage.version, TaskState.FAILED, reason=reason, attempts=stage.attempts
    )


def _with_change_noted(outcome: Outcome, examined: Examined | None) -> Examined | None:
    """A file whose content is not what it was at the last scan says so: it matters as evidence."""
    before = outcome.order.before
    if examined is None or before is None or examined.state is FileState.UNREADABLE:
        return examined
    if examined.digests is not None and examined.digests.sha256 == before:
        return examined
    return replace(examined, notes=(*examined.notes, content_changed(before)))
