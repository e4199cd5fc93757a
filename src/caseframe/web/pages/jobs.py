"""Pages about jobs: the list, a new one, one with its progress."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from caseframe.catalog.tally import job_cursor
from caseframe.domain.access import Action, may
from caseframe.web.deps import Creator, SeenJob, ServicesDep, Visitor, Who
from caseframe.web.jobs import STATUS_WORDS, card, cards, progress_of
from caseframe.web.render import page

router = APIRouter()
_PAGE = 100


@router.get("/")
def start(who: Visitor) -> Response:
    """Where one begins: the jobs, or for visitors the page that describes pictures."""
    return RedirectResponse("/jobs" if who else "/describe", 303)


@router.get("/jobs")
def job_list(
    request: Request,
    here: ServicesDep,
    who: Who,
    after: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """A page of the jobs that one may see, the newest first."""
    found = cards(here, who, after, _PAGE + 1)
    shown = found[:_PAGE]
    return page(
        request, "jobs.html", cards=shown, words=STATUS_WORDS, after=after,
        next=job_cursor(shown[-1].job) if len(found) > _PAGE else None,
        may_create=may(who, Action.CREATE_JOB),
    )  # fmt: skip


@router.get("/jobs/new")
def new_job(request: Request, here: ServicesDep, _who: Creator) -> Response:
    """The form for a new job."""
    return page(request, "job_new.html", stages=here.stages)


@router.get("/jobs/{job_id}")
def job(request: Request, here: ServicesDep, found: SeenJob) -> Response:
    """One job: progress while it works, counts when it is done, and what can be done with it."""
    allowed = {action.value for action in Action if may(found.who, action, found.access)}
    shared = here.sharing.shares(found.who, found.job.id) if "share-job" in allowed else []
    return page(
        request, "job.html", card=card(here, found.who, found.job.id), words=STATUS_WORDS,
        progress=progress_of(here, found.job.id), allowed=allowed, shares=shared,
        stages=here.stages,
    )  # fmt: skip
