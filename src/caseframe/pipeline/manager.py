"""The jobs of a server: a queue, one job at work at a time, and what is known of it while it works.

The catalog says in which state a job is; this class holds only what would be idle without it: the
thread, the order of the queue and the live progress. A server that is killed leaves jobs marked
running or queued, and `start` takes those up again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from structlog.contextvars import bound_contextvars, get_contextvars

from caseframe.catalog import jobs
from caseframe.catalog.database import Catalog
from caseframe.domain.correlation import LOGGED, new_id
from caseframe.domain.errors import (
    CaseframeError,
    CatalogAway,
    CatalogBusy,
    CatalogFull,
    Stopped,
    UsageError,
)
from caseframe.domain.text import one_line
from caseframe.domain.work import ACTIVE_STATES, JobState
from caseframe.pipeline.jobs import JobRun, Queued
from caseframe.pipeline.progress import Progress
from caseframe.pipeline.runner import Runner
from caseframe.stages.registry import Available, Registry

OpenRunner = Callable[[Sequence[Available], Callable[[], bool]], AbstractContextManager[Runner]]
"""Makes the runner for some stages; the second argument tells it whether to stop."""
OpenQueued = Callable[[Sequence[Available], Progress, Callable[[], bool]], Queued | None]
"""Makes the runner for those of the stages that go over queues, None where none does."""
_log = structlog.get_logger(__name__)
_JOIN_SECONDS = 30.0
_AGAIN_SECONDS = 2.0


def _correlation_now() -> str:
    """The id of the request that is at work in this thread, or a new one."""
    return str(get_contextvars().get(LOGGED) or new_id())


@dataclass
class _Ticket:
    """One place in the queue. `walk` is false for work on what was scanned before.

    `again` takes the place of a job at work when that ends: work came that it may have passed.
    """

    job_id: str
    walk: bool = True
    rehash: bool = False
    again: _Ticket | None = None
    correlation_id: str = field(default_factory=_correlation_now)
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    progress: Progress = field(default_factory=Progress)

    def covers(self, *, walk: bool, rehash: bool) -> bool:
        """Whether this run, which is at work, does what is asked for just now."""
        if self.stop.is_set() or not walk:  # it may have passed what is due
            return False
        return self.walk and (self.rehash or not rehash)


class JobManager:
    """Runs jobs one after the other in a thread of its own. Its methods may come from any thread.

    One at a time, because a job already uses every core.
    """

    def __init__(
        self,
        catalog: Catalog,
        registry: Registry,
        open_runner: OpenRunner,
        open_queued: OpenQueued = lambda _stages, _progress, _stop: None,
        at_work: Catalog | None = None,
    ) -> None:
        """`at_work` is the catalog for jobs, where they wait longer for it than who asks here."""
        self._catalog = catalog
        self._at_work = at_work or catalog
        self._registry = registry
        self._open_runner = open_runner
        self._open_queued = open_queued
        self._lock = threading.Condition()
        # Changes of the queue go one by one and may wait for the catalog; who only looks at the
        # queue never waits for them.
        self._changing = threading.Lock()
        self._queue: list[_Ticket] = []
        self._running: _Ticket | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin, with the jobs that were at work or waiting when the last server ended."""
        self._at_work.patiently(self._take_up)
        self._thread.start()

    def _take_up(self) -> None:
        with self._at_work.read() as connection:
            left = [job for job in jobs.list_jobs(connection) if job.state in ACTIVE_STATES]
        for job in sorted(left, key=lambda j: (j.state != JobState.RUNNING, j.created_at)):
            self.submit(job.id)

    def submit(self, job_id: str, *, walk: bool = True, rehash: bool = False) -> None:
        """See `Jobs.submit`."""
        with self._change():
            known = self._find(job_id)
            if known is not None:
                self._add(known, walk=walk, rehash=rehash)
                return
            with self._catalog.begin() as connection:
                jobs.queue_job(connection, job_id)
            with self._lock:
                self._queue.append(_Ticket(job_id, walk, rehash))
                self._lock.notify_all()

    def _add(self, known: _Ticket, *, walk: bool, rehash: bool) -> None:
        """Have a job that waits do this too, and one at work again where it may have passed it.

        One that is just being stopped may end before it.
        """
        with self._lock:
            if known in self._queue:
                more = known
            elif not known.covers(walk=walk, rehash=rehash):
                more = known.again = known.again or _Ticket(known.job_id, walk=False)
            else:
                return
            more.walk |= walk
            more.rehash |= rehash

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Be the only one who changes the queue. Raises CatalogBusy after the catalog's time."""
        if not self._changing.acquire(timeout=self._catalog.busy_seconds):
            raise CatalogBusy("others wait for the catalog too; try again in a moment")
        try:
            yield
        finally:
            self._changing.release()

    def stop(self, job_id: str) -> bool:
        """Ask a job to end where nothing is lost; False when it neither waits nor works."""
        with self._change():
            ticket = self._find(job_id)
            if ticket is None:
                return False
            if ticket in self._queue:
                with self._catalog.begin() as connection:
                    jobs.end_job(connection, job_id, JobState.STOPPED)
                self._leave(ticket)
            ticket.again = None
            ticket.stop.set()
        return True

    def _leave(self, ticket: _Ticket) -> None:
        """Take it out of the queue, unless its turn came meanwhile: then it ends as it stops."""
        with self._lock:
            if ticket in self._queue:
                self._queue.remove(ticket)
                ticket.ended.set()

    def stop_and_wait(self, job_id: str, seconds: float = _JOIN_SECONDS) -> None:
        """Stop a job and wait until it has. Raises UsageError when it takes too long."""
        ticket = self._find(job_id)
        if ticket is not None and self.stop(job_id) and not ticket.ended.wait(seconds):
            raise UsageError("the job is still ending; try again in a moment")

    def progress(self, job_id: str) -> Progress | None:
        """How far a job at work has come; None for one that is not at work here."""
        running = self._running
        return running.progress if running is not None and running.job_id == job_id else None

    def position(self, job_id: str) -> int | None:
        """Place in the queue from 1; None for a job that does not wait."""
        with self._lock:
            waiting = [ticket.job_id for ticket in self._queue]
        return waiting.index(job_id) + 1 if job_id in waiting else None

    def overview(self) -> tuple[str | None, tuple[str, ...]]:
        """(the job at work, the jobs that wait in their order), by id."""
        with self._lock:
            running = self._running
            waiting = tuple(ticket.job_id for ticket in self._queue)
        return None if running is None else running.job_id, waiting

    @property
    def trouble(self) -> str | None:
        """Why no job is done any more; None when all is well, and before the start."""
        if self._closing or self._thread.ident is None or self._thread.is_alive():
            return None
        return "the thread of the jobs has died; the log says why, start this service again"

    def close(self) -> None:
        """Stop the work; its job stays marked running, so that the next start goes on with it."""
        with self._lock:
            self._closing = True
            if self._running is not None:
                self._running.stop.set()
            self._lock.notify_all()
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)

    def _find(self, job_id: str) -> _Ticket | None:
        with self._lock:
            known = [*([self._running] if self._running else []), *self._queue]
        return next((ticket for ticket in known if ticket.job_id == job_id), None)

    def _work(self) -> None:
        while (ticket := self._next()) is not None:
            try:
                with bound_contextvars(**{LOGGED: ticket.correlation_id, "job": ticket.job_id}):
                    self._run(ticket)
            except Stopped:
                self._stopped(ticket)
            except CaseframeError as error:
                _log.warning("job.ended", job=ticket.job_id, reason=str(error))
                self._failed(ticket, error.public)
            except Exception as error:  # noqa: BLE001 - the boundary of one job: stored as its reason
                _log.exception("job.failed", job=ticket.job_id)
                self._failed(ticket, f"{type(error).__name__}: {error}")
            finally:
                self._over(ticket)

    def _over(self, ticket: _Ticket) -> None:
        """Make room for the next job, and a new place for this one where more work came for it."""
        with self._changing:  # or what comes at this moment is lost
            if ticket.again is not None:
                self._note(lambda connection: jobs.queue_job(connection, ticket.job_id))
            with self._lock:
                if ticket.again is not None:
                    self._queue.append(ticket.again)
                self._running = None
                ticket.ended.set()

    def _next(self) -> _Ticket | None:
        with self._lock:
            while not self._queue and not self._closing:
                self._lock.wait()
            if self._closing:
                return None
            self._running = self._queue.pop(0)
            return self._running

    def _run(self, ticket: _Ticket) -> None:
        catalog = self._at_work.waiting(stop=ticket.stop.is_set)
        job = catalog.patiently(lambda: self._job(ticket.job_id))
        names = [name for name in job.stages if name in self._registry.names()]
        chosen = self._registry.select(names)
        stop = ticket.stop.is_set
        queued = self._open_queued(chosen, ticket.progress, stop)
        later = queued.stages if queued else frozenset()
        ours = [available for available in chosen if available.stage.name not in later]
        with ExitStack() as stack:
            if queued is not None:
                stack.callback(queued.runner.close)
            runner = stack.enter_context(self._open_runner(ours, stop))
            run = JobRun(catalog, runner, chosen, ticket.progress, stop, queued)
            if ticket.walk:
                run.scan(ticket.job_id, rehash=ticket.rehash, count_first=True)
            else:
                run.resume(ticket.job_id)

    def _job(self, job_id: str) -> jobs.Job:
        with self._catalog.read() as connection:
            return jobs.get_job(connection, job_id)

    def _stopped(self, ticket: _Ticket) -> None:
        """A stop by a person lasts; one by the end of the server does not."""
        if self._closing:
            self._note(lambda connection: jobs.queue_job(connection, ticket.job_id))
        else:
            self._note(lambda to: jobs.end_job(to, ticket.job_id, JobState.STOPPED))

    def _failed(self, ticket: _Ticket, reason: str) -> None:
        said = one_line(reason)  # what no database could hold would be tried for ever
        self._note(lambda to: jobs.end_job(to, ticket.job_id, JobState.FAILED, said))

    def _note(self, change: Callable[[Connection], None]) -> None:
        """Write how a job ended, however long the catalog is away, held, full or not to be written.

        Else it would seem to be at work for ever. What we cannot write because we are to end, the
        next start takes up.
        """
        catalog = self._at_work.waiting(stop=lambda: self._closing)
        while True:
            try:
                with catalog.begin() as connection:
                    change(connection)
            except (CatalogAway, CatalogBusy, CatalogFull, SQLAlchemyError) as error:
                _log.warning("job.end_unwritten", reason=one_line(str(error)))
            except CaseframeError:
                return
            else:
                return
            with self._lock:
                if self._lock.wait_for(lambda: self._closing, _AGAIN_SECONDS):
                    return
