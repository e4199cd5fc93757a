"""The problems of a job: what could not be done, why, and trying again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from caseframe.catalog.gallery_tables import IMAGE_BITS
from caseframe.catalog.jobs import get_job
from caseframe.catalog.problem_list import (
    MOST,
    ProblemKind,
    ProblemQuery,
    problem_list,
    retry_in_steps,
)
from caseframe.catalog.work import count_due
from caseframe.domain.work import ACTIVE_STATES
from caseframe.web.deps import RunJob, SeenJob, ServicesDep
from caseframe.web.services import Services

router = APIRouter(prefix="/api/v1", tags=["problems"])
ImageId = Annotated[int, Field(ge=1, lt=1 << IMAGE_BITS)]
_MOST_IMAGES = 10_000


class ProblemOut(BaseModel):
    """One problem of one file; failed and unavailable stages of an `image` can be retried."""

    kind: ProblemKind
    path: str
    stage: str
    reason: str
    image: int | None
    attempts: int | None


class ProblemsOut(BaseModel):
    """A page of problems; `next` fetches the page after, null at the end."""

    problems: list[ProblemOut]
    next: str | None


class Retry(BaseModel):
    """Which tasks to try again: of one stage, of at most 10,000 pictures; all for neither."""

    stage: str | None = None
    images: Annotated[list[ImageId], Field(max_length=_MOST_IMAGES)] | None = None


class Retried(BaseModel):
    """How many tasks wait again. The job was started for them; one at work goes on for them."""

    tasks: int


@router.get("/jobs/{job_id}/problems")
def problems(
    here: ServicesDep,
    found: SeenJob,
    stage: Annotated[str | None, Query(max_length=64)] = None,
    kind: Annotated[list[ProblemKind] | None, Query()] = None,
    text: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[str | None, Query(max_length=4096)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> ProblemsOut:
    """A page of problems: files that could not be read, failed stages, remarks.

    With `text`, in path or reason, a page may be short or empty although there is a `next`.
    """
    wanted = ProblemQuery(stage, tuple(kind) if kind else tuple(ProblemKind), text)
    with here.catalog.read() as connection:
        page = problem_list(connection, found.job.id, wanted, after=after, limit=limit)
    return ProblemsOut(
        problems=[
            ProblemOut(
                kind=one.kind, path=one.path_text, stage=one.stage, reason=one.reason,
                image=one.image_id, attempts=one.attempts,
            )
            for one in page.problems
        ],
        next=page.next,
    )  # fmt: skip


@router.post("/jobs/{job_id}/problems/retry", status_code=202)
def retry_problems(here: ServicesDep, found: RunJob, wanted: Retry) -> Retried:
    """Try failed and unavailable stages again; files with problems are tried at the next start."""
    return Retried(tasks=retry_tasks(here, found.job.id, wanted.stage, wanted.images))


def retry_tasks(here: Services, job_id: str, stage: str | None, images: list[int] | None) -> int:
    """Make tasks wait again and queue the job for them; how many."""
    working = {info.name: info.version for info in here.stages if info.reason is None}
    count = retry_in_steps(here.catalog, job_id, working, stage=stage, image_ids=images)
    if count or _left_waiting(here, job_id, working):
        here.manager.submit(job_id, walk=False)
    return count


def _left_waiting(here: Services, job_id: str, working: dict[str, str]) -> bool:
    """Whether tasks wait and nobody is at them, as where the job could not be queued before."""
    with here.catalog.read() as connection:
        job = get_job(connection, job_id)
        wanted = {name: working[name] for name in job.stages if name in working}
        waits = job.state not in ACTIVE_STATES
        return waits and count_due(connection, job_id, wanted) > 0
