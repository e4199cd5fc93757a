"""With whom a job is shared."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from caseframe.domain.access import JobAccess
from caseframe.domain.people import Share
from caseframe.web.deps import SeenJob, ServicesDep, ShareJob

router = APIRouter(prefix="/api/v1", tags=["jobs"])
Level = Literal["viewer", "editor"]


class ShareOut(BaseModel):
    """One user who was let into a job."""

    user_id: str
    email: str
    name: str
    level: JobAccess
    created_at: datetime


class ShareWith(BaseModel):
    """The address of a user, and what they may do: look, or also run and change the job."""

    email: str
    level: Level = "viewer"


def _out(share: Share) -> ShareOut:
    return ShareOut.model_validate(share, from_attributes=True)


@router.get("/jobs/{job_id}/shares")
def shares(here: ServicesDep, found: SeenJob) -> list[ShareOut]:
    """With whom a job is shared; those it is shared with see only themselves."""
    return [_out(share) for share in here.sharing.shares(found.who, found.job.id)]


@router.put("/jobs/{job_id}/shares")
def share(here: ServicesDep, found: ShareJob, wanted: ShareWith) -> ShareOut:
    """Let a user into a job, or change what they may do there."""
    level = JobAccess(wanted.level)
    return _out(here.sharing.share(found.who, found.job.id, wanted.email, level))


@router.delete("/jobs/{job_id}/shares/{user_id}", status_code=204)
def unshare(here: ServicesDep, found: SeenJob, user_id: str) -> None:
    """Shut a user out again; everybody can give up what was shared with them."""
    here.sharing.unshare(found.who, found.job.id, user_id)
