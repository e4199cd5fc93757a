"""The page of a job's problems."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection

from caseframe.catalog.problem_list import ProblemKind, ProblemPage, ProblemQuery, problem_list
from caseframe.domain.access import Action, may
from caseframe.domain.evidence import SCAN
from caseframe.web.deps import SeenJob, ServicesDep
from caseframe.web.jobs import card
from caseframe.web.render import page

router = APIRouter()
KINDS = {
    "": "all problems",
    "file": "files that could not be looked at",
    "failed": "failed stages",
    "unavailable": "stages that cannot work here",
    "note": "remarks on files",
    "remark": "remarks of stages",
}
_SECONDS = 0.5  # as long as a page may keep somebody waiting for what it has not found yet
_USUAL = tuple(kind for kind in ProblemKind if kind is not ProblemKind.UNAVAILABLE)


@router.get("/jobs/{job_id}/problems")
def problems(
    request: Request,
    here: ServicesDep,
    found: SeenJob,
    stage: Annotated[str, Query(max_length=64)] = "",
    kind: Annotated[str, Query(max_length=16)] = "",
    text: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[str | None, Query(max_length=4096)] = None,
) -> Response:
    """Problems in pages, with filters, and buttons to try again."""
    kinds = (ProblemKind(kind),) if kind in set(ProblemKind) else _USUAL
    wanted = ProblemQuery(stage or None, kinds, text)
    with here.catalog.read() as connection:
        listed = _first_found(connection, found.job.id, wanted, after)
    titles = {SCAN: "Scan"} | {info.name: info.title for info in here.stages}
    return page(
        request, "problems.html", card=card(here, found.who, found.job.id), listed=listed,
        titles=titles, kinds=KINDS, stage=stage, kind=kind, text=text,
        may_retry=may(found.who, Action.RUN_JOB, found.access),
    )  # fmt: skip


def _first_found(
    connection: Connection, job_id: str, query: ProblemQuery, after: str | None
) -> ProblemPage:
    """The next page with anything on it; an empty one where that is long in coming."""
    until = time.monotonic() + _SECONDS
    listed = problem_list(connection, job_id, query, after=after)
    while not listed.problems and listed.next is not None and time.monotonic() < until:
        listed = problem_list(connection, job_id, query, after=listed.next)
    return listed
