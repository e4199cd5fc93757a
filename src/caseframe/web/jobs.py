"""Jobs as the pages and the REST interface show them: status, counts, progress."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from caseframe.catalog import jobs, shares, tally
from caseframe.catalog.jobs import Job
from caseframe.catalog.tally import CardState, JobCard, JobProgress, StageProgress
from caseframe.domain.access import JobAccess, Principal
from caseframe.domain.evidence import PROBLEM_STATES, FileState
from caseframe.domain.work import JobState
from caseframe.pipeline.progress import Progress
from caseframe.web.services import Services, StageInfo

STATUS_WORDS = {
    CardState.EMPTY: "nothing found yet",
    CardState.NO_PICTURES: "no pictures found",
    CardState.QUEUED: "waiting for its turn",
    CardState.RUNNING: "at work",
    CardState.STOPPED: "stopped",
    CardState.COMPLETE: "complete",
    CardState.PROBLEMS: "complete, with problems",
    CardState.FAILED: "could not be done",
}


@dataclass(frozen=True)
class Card:
    """A job as somebody sees it.

    `access` is what they are to it, `position` its place in the queue from 1, `thumbnail` the id
    of an image of it.
    """

    job: Job
    status: CardState
    files: int
    pictures: int
    problems: int
    thumbnail: int | None
    position: int | None
    access: JobAccess


def cards(here: Services, who: Principal, after: str | None = None, limit: int = 100) -> list[Card]:
    """A page of the jobs that somebody may see, the newest first."""
    with here.catalog.read() as connection:
        visible = shares.visible_jobs(who)
        found = tally.job_cards(connection, visible, after=after, limit=limit)
        return [_card(connection, here, who, one) for one in found]


def card(here: Services, who: Principal, job_id: str) -> Card:
    """One job. Raises NotFound."""
    with here.catalog.read() as connection:
        jobs.get_job(connection, job_id)
        (found,) = tally.job_cards(connection, jobs.of_id(job_id))
        return _card(connection, here, who, found)


def _card(connection: Connection, here: Services, who: Principal, found: JobCard) -> Card:
    return Card(
        job=found.job,
        status=found.state,
        files=sum(found.progress.files.values()),
        pictures=found.progress.pictures,
        problems=count_problems(found.progress),
        thumbnail=found.thumbnail,
        position=here.manager.position(found.job.id),
        access=shares.job_access(connection, found.job.id, who.user_id),
    )


def count_problems(progress: JobProgress) -> int:
    """Everything that the page of problems lists."""
    files = sum(progress.files.get(state, 0) for state in PROBLEM_STATES)
    failed = sum(stage.failed for stage in progress.stages)
    return files + failed + sum(progress.problems.values())


def progress_of(here: Services, job_id: str) -> dict[str, Any]:
    """Everything that a page about a job's progress shows.

    Counts are what the catalog holds now. `live` is what only the run itself knows: the file at
    work, rates, time left, and what it waits for, such as workers; null when the job is not at work
    here. Rates are pictures (files) a second, times seconds.
    """
    run = here.manager.progress(job_id)
    with here.catalog.read() as connection:
        job = jobs.get_job(connection, job_id)
        (found,) = tally.job_cards(connection, jobs.of_id(job_id))
    counted = found.progress
    return {
        "job": job_id,
        "status": found.state.value,
        "words": STATUS_WORDS[found.state],
        "reason": job.reason,
        "position": here.manager.position(job_id),
        "files": {state.value: counted.files.get(state, 0) for state in FileState},
        "missing": counted.missing,
        "bytes": counted.bytes,
        "pictures": counted.pictures,
        "types": [{"mime": t.mime, "files": t.files, "bytes": t.bytes} for t in counted.types],
        "stages": [_stage(job, one, counted, run) for one in here.stages if one.name in job.stages],
        "problems": count_problems(counted),
        "live": _live(run) if job.state is JobState.RUNNING else None,
    }


def _stage(job: Job, info: StageInfo, counted: JobProgress, run: Progress | None) -> dict[str, Any]:
    same = [s for s in counted.stages if (s.stage, s.version) == (info.name, info.version)]
    states = same[0] if same else StageProgress(info.name, info.version)
    ended = states.total - states.pending
    total, about = _expected(states, counted, run)
    rate = run.stage_rate(info.name) if run and job.state is JobState.RUNNING else None
    return {
        "name": info.name,
        "title": info.title,
        "reason": info.reason,
        "found": states.found,
        "none_found": states.none_found,
        "failed": states.failed,
        "unavailable": states.unavailable,
        "pending": states.pending,
        "ended": ended,
        "total": total,
        "about": about,
        "rate": None if rate is None else round(rate, 2),
        "left": round((total - ended) / rate) if rate else None,
    }


def _expected(
    states: StageProgress, counted: JobProgress, run: Progress | None
) -> tuple[int, bool]:
    """(pictures that the stage will have had in the end, whether that is an estimate).

    While the walk goes on, the files to come are taken to hold as many new pictures as those
    before.
    """
    if run is None or run.phase != "scan" or not run.total or not run.finished_files:
        return states.total, False
    left = max(0, run.total - run.finished_files)
    return states.total + round(left * counted.pictures / run.finished_files), left > 0


def _live(run: Progress | None) -> dict[str, Any] | None:
    if run is None:
        return None
    rate = run.file_rate()
    left = None if run.total is None else max(0, run.total - run.finished_files)
    return {
        "phase": run.phase,
        "total": run.total,
        "finished": run.finished_files,
        "rate": None if rate is None else round(rate, 2),
        "left": round(left / rate) if left and rate else None,
        "current": run.current,
        "waiting": run.waiting,
        "seconds": round(time.monotonic() - run.started),
    }
