"""Running a job: walk the source, have new files examined, then do the work that is still due.

A job can be killed at any moment and run again: what the catalog holds is done, the rest is not.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from caseframe.catalog import evidence, jobs, recording, work
from caseframe.catalog.database import Catalog
from caseframe.domain.errors import CaseframeError, SourceError, Stopped
from caseframe.domain.evidence import CONTENT_STATES, PICTURE_STATES, FileState
from caseframe.domain.work import JobState, Order, StageOutcome, TaskState
from caseframe.pipeline.beside import Walk, beside, coming
from caseframe.pipeline.collect import Collector
from caseframe.pipeline.missing import compare
from caseframe.pipeline.plan import needs_reading, state_of_skipped
from caseframe.pipeline.progress import Progress
from caseframe.pipeline.runner import Runner
from caseframe.scanner.reading import open_root
from caseframe.scanner.walk import Entry, check_source, walk
from caseframe.stages.registry import Available

P = ParamSpec("P")
T = TypeVar("T")
_WALK_BATCH = 512
_CROWD = 8
_NONE: frozenset[bytes] = frozenset()


@dataclass(frozen=True)
class Queued:
    """Stages that another runner does, of pictures that are in the catalog already."""

    stages: frozenset[str]
    runner: Runner


class JobRun:
    """One run of one job over its source, with the stages that were chosen.

    What is `queued` begins while the source is still being walked.
    """

    def __init__(
        self,
        catalog: Catalog,
        runner: Runner,
        stages: Sequence[Available],
        progress: Progress | None = None,
        stop: Callable[[], bool] = lambda: False,
        queued: Queued | None = None,
    ) -> None:
        self._catalog = catalog
        self._runner = runner
        self._queued = queued
        self._stop = stop
        self._chosen = stages
        self._versions = {a.stage.name: a.stage.version for a in stages}
        later = queued.stages if queued else frozenset()
        able = {a.stage.name: a.stage.version for a in stages if a.reason is None}
        self._working = {name: version for name, version in able.items() if name not in later}
        self._later = {name: version for name, version in able.items() if name in later}
        self._needs = {a.stage.name: a.stage.after for a in stages}
        self._unread: set[bytes] = set()  # names that the walk met and could not look into
        self._crowded: set[int] = set()  # sizes of so many images that they tell nothing
        self.progress = progress or Progress()
        self.progress.stages.update({name: Counter() for name in self._versions})

    def scan(self, job_id: str, *, rehash: bool = False, count_first: bool = False) -> jobs.Job:
        """Walk the source and do everything that is due; the job as it ended.

        `count_first` counts the source beside the work, so that progress knows the total.
        Raises SourceError or CaseError, and marks the job failed; Stopped when `stop` said so, and
        marks it stopped.
        """
        with self._running(job_id, walk=True) as job:
            check_source(job.source)
            if count_first:
                self._count(job.source)
            with self._beside(job):
                self._collect(job, self._orders(job, rehash=rehash), self._runner)
                self._mark_missing(job)
            self._write(jobs.end_walk, job_id)
            self._do_due(job)
        return self._job(job_id)

    def resume(self, job_id: str) -> jobs.Job:
        """Do only the stage work that is due, without walking the source."""
        with self._running(job_id, walk=False) as job:
            check_source(job.source)
            self._do_due(job)
        return self._job(job_id)

    def _read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **named: P.kwargs
    ) -> T:
        """Ask the catalog, waiting for a server that is away."""

        def once() -> T:
            with self._catalog.read() as connection:
                return query(connection, *args, **named)

        return self._catalog.patiently(once)

    def _write(
        self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **named: P.kwargs
    ) -> T:
        """Change the catalog in a transaction of its own, waiting for a server that is away."""

        def once() -> T:
            with self._catalog.begin() as connection:
                return change(connection, *args, **named)

        return self._catalog.patiently(once)

    def _job(self, job_id: str) -> jobs.Job:
        return self._read(jobs.get_job, job_id)

    @contextmanager
    def _running(self, job_id: str, *, walk: bool) -> Iterator[jobs.Job]:
        """Mark the job running, and afterwards by how the block ended."""
        job = self._write(jobs.start_job, job_id, tuple(self._versions), walk=walk)
        try:
            yield job
        except Stopped:
            self._end(job_id, JobState.STOPPED)
            raise
        except CaseframeError as error:
            # When the catalog itself is what failed, its own error is the one worth seeing.
            with suppress(CaseframeError):
                self._end(job_id, JobState.FAILED, error.public)
            raise
        except BaseException:
            with suppress(CaseframeError):
                self._end(job_id, JobState.STOPPED)
            raise
        self._write(jobs.finish_job, job_id)

    def _end(self, job_id: str, state: JobState, reason: str | None = None) -> None:
        self._write(jobs.end_job, job_id, state, reason)

    def _collect(self, job: jobs.Job, orders: Iterator[Order | None], runner: Runner) -> None:
        """Have orders carried out and their outcomes written, what came before a stop too."""
        collector = self._collector(job, runner)
        try:
            for outcome in runner.run(orders):
                collector.add(outcome)
        except Stopped:
            collector.flush()
            raise
        collector.flush()

    def _collector(self, job: jobs.Job, runner: Runner) -> Collector:
        absent = [
            StageOutcome(
                a.stage.name, a.stage.version, TaskState.UNAVAILABLE, reason=a.reason, attempts=0
            )
            for a in self._chosen
            if a.reason is not None
        ]
        absent += [
            StageOutcome(name, version, TaskState.PENDING) for name, version in self._later.items()
        ]
        return Collector(
            self._catalog, job.id, self._versions, absent, self.progress, runner.settled
        )

    @contextmanager
    def _beside(self, job: jobs.Job) -> Iterator[None]:
        """While the block adds pictures, have the queued stages look at them; wait for both."""
        if self._queued is None or not self._later:
            yield
            return
        runner = self._queued.runner
        with beside(lambda walk: self._collect(job, self._coming(job, walk), runner)):
            yield

    def _coming(self, job: jobs.Job, walk: Walk) -> Iterator[Order | None]:
        """Orders for queued stages as the walk adds pictures."""

        def page(last: int) -> list[tuple[int, Order]]:
            found = self._due_page(job, last, self._later)
            return [(due.image_id, self._due_order(job, due)) for due in found]

        return coming(page, walk)

    # ---- the source -----------------------------------------------------------------------

    def _count(self, source: bytes) -> None:
        """Count the source in a thread of its own; the walk for the work does not wait for it."""

        def count() -> None:
            with suppress(SourceError):
                self.progress.total = sum(1 for _ in walk(source))

        threading.Thread(target=count, daemon=True, name="count").start()

    def _orders(self, job: jobs.Job, *, rehash: bool) -> Iterator[Order]:
        entries = walk(job.source)
        while batch := list(islice(entries, _WALK_BATCH)):
            if self._stop():
                raise Stopped
            self.progress.seen += len(batch)
            yield from self._triage(job, batch, rehash=rehash)

    def _triage(self, job: jobs.Job, batch: list[Entry], *, rehash: bool) -> list[Order]:
        """Record what needs no worker; orders for the rest."""
        known = self._read(evidence.files_at, job.id, [entry.path for entry in batch])
        skipped: list[Entry] = []
        unread: list[Entry] = []
        back: list[int] = []
        for entry in batch:
            before = known.get(entry.path)
            if entry.unreadable:
                self._unread.add(entry.path)
            if before is not None and before.missing:
                back.append(before.id)
            if not needs_reading(entry, before, rehash=rehash):
                continue
            (unread if entry.skipped is None else skipped).append(entry)
        self._record(job, skipped, back)
        self.progress.unchanged += len(batch) - len(unread) - len(skipped)
        self.progress.changed()
        return self._order(job, unread, known, rehash=rehash)

    def _record(self, job: jobs.Job, skipped: list[Entry], back: list[int]) -> None:
        if back:
            self._write(evidence.mark_missing, back, missing=False)
        if skipped:
            rows = [_skipped_row(entry) for entry in skipped]
            self._write(recording.record_skipped, job.id, rows)
            self.progress.examined += len(skipped)
            self.progress.states.update(state_of_skipped(entry) for entry in skipped)

    def _order(
        self,
        job: jobs.Job,
        unread: list[Entry],
        known: dict[bytes, evidence.KnownFile],
        *,
        rehash: bool,
    ) -> list[Order]:
        if not unread:
            return []
        sizes = {entry.size for entry in unread} - self._crowded
        settled = self._settled(job, sizes, () if rehash else CONTENT_STATES)
        done = self._settled(job, sizes, PICTURE_STATES) if rehash else {}
        orders = []
        for entry in unread:
            before = known.get(entry.path)
            orders.append(
                Order(
                    root=job.source,
                    path=entry.path,
                    stages=tuple(self._working),
                    before=before.sha256 if before else None,
                    size=entry.size,
                    modified_ns=entry.modified_ns,
                    known=settled.get(entry.size, _NONE),
                    anew=done.get(entry.size, _NONE) - settled.get(entry.size, _NONE),
                    file_id=before.id if before else None,
                )
            )
        return orders

    def _settled(
        self, job: jobs.Job, sizes: set[int], states: Collection[FileState]
    ) -> dict[int, frozenset[bytes]]:
        """Digests by which workers can tell, by size, that a file is a copy of what is done.

        What stands in these `states`, or was met by this run. A hint only: a copy that it misses
        is examined again, with the same result.
        """
        most = len(sizes) * _CROWD
        found = self._read(
            evidence.settled_by_size,
            sizes,
            self._versions,
            most=most,
            states=states,
            run=(job.id, job.started_at),
        )
        self._crowded.update(size for size, digests in found.items() if len(digests) >= _CROWD)
        return found

    def _mark_missing(self, job: jobs.Job) -> None:
        """Find the files that are gone, if any is.

        Every name that the walk met has a row. So when there are no more rows than names, none is
        missing; else the file system is asked about each, which also is right when another scan
        of the same source was at work in between.
        """
        if self._read(evidence.count_rows, job.id) == self.progress.seen:
            return
        root = open_root(job.source)
        try:
            last = 0
            while page := self._read(evidence.files_page, job.id, after=last):
                self._compare(root, page)
                last = page[-1].id
        finally:
            os.close(root)

    def _compare(self, root: int, page: list[evidence.KnownFile]) -> None:
        found = compare(root, page, self._unread)
        if found.opened:
            self._write(evidence.forget, found.opened)
        for missing, ids in ((True, found.gone), (False, found.back)):
            if ids:
                self._write(evidence.mark_missing, ids, missing=missing)

    # ---- work on what is known --------------------------------------------------------------

    def _do_due(self, job: jobs.Job) -> None:
        self._plan(job)
        self._write(work.retry_unavailable, self._working | self._later)
        self.progress.phase = "stages"
        due = self._read(work.count_due, job.id, self._working | self._later)
        self.progress.stage_total = due
        self._collect(job, self._due_orders(job, self._working), self._runner)
        if self._queued is not None and self._later:
            self._collect(job, self._due_orders(job, self._later), self._queued.runner)

    def _plan(self, job: jobs.Job) -> None:
        """See to it that every picture has a task of every stage.

        Pictures get theirs when they are recorded; only when stages or versions are not those of
        the last time must the others be looked through.
        """
        planned = json.dumps(self._versions, sort_keys=True)
        if planned != job.planned:
            for available in self._chosen:
                self._write(_plan, job.id, available)
            self._write(jobs.set_planned, job.id, planned)

    def _due_orders(self, job: jobs.Job, versions: dict[str, str]) -> Iterator[Order]:
        last = 0
        while page := self._due_page(job, last, versions):
            yield from (self._due_order(job, due) for due in page)
            last = page[-1].image_id

    @staticmethod
    def _due_order(job: jobs.Job, due: work.Due) -> Order:
        return Order(
            root=job.source,
            path=due.path,
            stages=due.stages,
            ingest=False,
            sha256=due.sha256,
            given=due.given,
            image_id=due.image_id,
            size=due.record.size,
            job_id=job.id,
            record=due.record,
        )

    def _due_page(self, job: jobs.Job, last: int, versions: dict[str, str]) -> list[work.Due]:
        # A connection of its own for each page: a reader that stays open while workers work would
        # keep SQLite from folding its log back, and PostgreSQL from cleaning up.
        return self._read(work.due_page, job.id, versions, self._needs, after=last)


def _skipped_row(entry: Entry) -> dict[str, object]:
    return {
        "path": entry.path,
        "size": entry.size,
        "modified_ns": entry.modified_ns,
        "state": state_of_skipped(entry),
        "reason": entry.skipped,
        "mime": entry.mime,
    }


def _plan(connection: Connection, job: str, available: Available) -> None:
    """Every image gets a task of the stage; where the stage cannot work, one that says why."""
    stage = available.stage
    if available.reason is None:
        work.plan_tasks(connection, job, stage.name, stage.version)
    else:
        work.plan_tasks(
            connection,
            job,
            stage.name,
            stage.version,
            state=TaskState.UNAVAILABLE,
            reason=available.reason,
        )
