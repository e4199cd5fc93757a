"""Jobs over REST: list, make, change, start, stop, delete."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, StringConstraints

from caseframe.catalog import jobs
from caseframe.catalog.removal import remove_job
from caseframe.catalog.tally import CardState
from caseframe.domain.errors import UsageError
from caseframe.domain.evidence import path_text
from caseframe.web.deps import Creator, DeleteJob, EditJob, RunJob, SeenJob, ServicesDep, Who
from caseframe.web.jobs import Card, card, cards, progress_of
from caseframe.web.services import Services
from caseframe.web.sources import folder_at

router = APIRouter(prefix="/api/v1", tags=["jobs"])
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Words = Annotated[str, StringConstraints(max_length=10_000)]


class NewJob(BaseModel):
    """`source` is a path token of /sources; all stages when none are named."""

    name: Name
    description: Words = ""
    source: str = Field(max_length=8192)
    stages: list[str] | None = None


class JobChange(BaseModel):
    """What to change; what is left out stays."""

    name: Name | None = None
    description: Words | None = None
    stages: list[str] | None = None


class JobOut(BaseModel):
    """A job as it stands. `status` is what the icon shows; `position` the place in the queue."""

    id: str
    name: str
    description: str
    source: str
    status: CardState
    state: str
    reason: str | None
    stages: list[str]
    files: int
    pictures: int
    problems: int
    position: int | None
    access: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Start(BaseModel):
    """`rehash` reads also files whose size and time are unchanged."""

    rehash: bool = False


def _out(found: Card) -> JobOut:
    job = found.job
    return JobOut(
        id=job.id,
        name=job.name,
        description=job.description,
        source=path_text(job.source),
        status=found.status,
        state=job.state.value,
        reason=job.reason,
        stages=list(job.stages),
        files=found.files,
        pictures=found.pictures,
        problems=found.problems,
        position=found.position,
        access=found.access.value,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def _stages(here: Services, wanted: list[str] | None) -> tuple[str, ...]:
    names = [stage.name for stage in here.stages]
    unknown = sorted(set(wanted or ()) - set(names))
    if unknown:
        raise UsageError(f"no stage is called {', '.join(unknown)}; there are: {', '.join(names)}")
    return tuple(name for name in names if wanted is None or name in wanted)


@router.get("/jobs")
def list_jobs(
    here: ServicesDep,
    who: Who,
    after: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[JobOut]:
    """A page of the jobs that one may see, the newest first; `after` is the last id before it."""
    return [_out(found) for found in cards(here, who, after, limit)]


@router.post("/jobs", status_code=201)
def create(here: ServicesDep, who: Creator, new: NewJob) -> JobOut:
    """Make a job over a folder of the sources root; it does nothing until it is started."""
    source = folder_at(os.fsencode(here.options.sources), new.source)
    stages = _stages(here, new.stages)
    with here.catalog.begin() as connection:
        job = jobs.create_job(
            connection, new.name, source, stages, new.description, owner_id=who.user_id
        )
    return _out(card(here, who, job.id))


@router.get("/jobs/{job_id}")
def get(here: ServicesDep, found: SeenJob) -> JobOut:
    """One job."""
    return _out(card(here, found.who, found.job.id))


@router.patch("/jobs/{job_id}")
def change(here: ServicesDep, found: EditJob, wanted: JobChange) -> JobOut:
    """Change a job's name, description or stages; new stages count from the next start on."""
    stages = None if wanted.stages is None else _stages(here, wanted.stages)
    with here.catalog.begin() as connection:
        jobs.change_job(
            connection, found.job.id, name=wanted.name, description=wanted.description,
            stages=stages,
        )  # fmt: skip
    return _out(card(here, found.who, found.job.id))


@router.post("/jobs/{job_id}/start", status_code=202)
def start(here: ServicesDep, found: RunJob, how: Start | None = None) -> JobOut:
    """Scan the folder, or go on where it stopped; several jobs queue."""
    here.manager.submit(found.job.id, rehash=how.rehash if how else False)
    return _out(card(here, found.who, found.job.id))


@router.post("/jobs/{job_id}/stop", status_code=202)
def stop(here: ServicesDep, found: RunJob) -> JobOut:
    """Stop where nothing is lost; starting again goes on from there."""
    here.manager.stop(found.job.id)
    return _out(card(here, found.who, found.job.id))


@router.delete("/jobs/{job_id}", status_code=204)
def delete(here: ServicesDep, found: DeleteJob) -> None:
    """Delete a job and all that was found in it; the folder of pictures itself is not touched."""
    here.manager.stop_and_wait(found.job.id)
    remove_job(here.catalog, found.job.id)


@router.get("/jobs/{job_id}/progress")
def progress(here: ServicesDep, found: SeenJob) -> dict[str, object]:
    """How far a job has come: the same that its event stream says."""
    return progress_of(here, found.job.id)
