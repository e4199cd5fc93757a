"""Live progress as server-sent events."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from caseframe.domain.access import Action, JobAccess
from caseframe.web.deps import SeenJob, ServicesDep
from caseframe.web.watch import while_allowed

router = APIRouter(prefix="/api/v1", tags=["jobs"])


@router.get("/jobs/{job_id}/events", response_class=StreamingResponse)
async def events(here: ServicesDep, found: SeenJob) -> StreamingResponse:
    """Progress of a job: each event holds the whole truth, the first comes at once.

    The stream ends with the session; a browser then asks again by itself.
    """

    def check() -> JobAccess:
        who = here.accounts.validate(found.who.token)
        return here.sharing.require(who, Action.SEE_JOB, found.job.id)

    return StreamingResponse(
        while_allowed(here.broadcaster.listen(found.job.id), check),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )
