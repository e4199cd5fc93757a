"""What administrators do with users and invitations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from caseframe.domain.access import Principal, Role
from caseframe.domain.people import JobsDecision, JobsThen, UserFilter
from caseframe.web.api.account import UserOut
from caseframe.web.deps import Administrator, ServicesDep
from caseframe.web.services import Services

router = APIRouter(prefix="/api/v1", tags=["users"])


class UsersOut(BaseModel):
    """A page of users by address; `next` is the `after` of the page after, null at the end."""

    users: list[UserOut]
    next: str | None


class UserChange(BaseModel):
    """What to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    disabled: bool | None = None


class Gone(BaseModel):
    """A job of a user who was deleted."""

    id: str
    name: str


class DeletionOut(BaseModel):
    """What the deletion of a user did."""

    message: str
    jobs: list[Gone]


class Invite(BaseModel):
    """Whom to invite, and the role they will have."""

    email: str
    role: Role = Role.VIEWER


class InvitationOut(BaseModel):
    """An invitation that nobody has used yet."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    email: str
    role: Role
    created_at: datetime
    expires_at: datetime


@router.get("/users")
def users(
    here: ServicesDep,
    who: Administrator,
    text: Annotated[str, Query(max_length=200)] = "",
    role: Role | None = None,
    verified: bool | None = None,
    disabled: bool | None = None,
    after: Annotated[str | None, Query(max_length=600)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> UsersOut:
    """A page of users; `text` stands in name or address."""
    wanted = UserFilter(text, role, verified, disabled)
    found = here.accounts.users(who, wanted, after, limit)
    return UsersOut(users=[UserOut.model_validate(u) for u in found.users], next=found.next)


@router.get("/users/{user_id}")
def user(here: ServicesDep, who: Administrator, user_id: str) -> UserOut:
    """One user."""
    return UserOut.model_validate(here.accounts.get_user(who, user_id))


@router.patch("/users/{user_id}")
def change(here: ServicesDep, who: Administrator, user_id: str, wanted: UserChange) -> UserOut:
    """Give a user another role, shut them out, or let them in again."""
    change_user(here, who, user_id, wanted.role, wanted.disabled)
    return UserOut.model_validate(here.accounts.get_user(who, user_id))


def change_user(
    here: Services, who: Principal, user_id: str, role: Role | None, disabled: bool | None
) -> None:
    """Change what is not None. Raises NotThere, LastAdministrator."""
    if role is not None:
        here.accounts.set_role(who, user_id, role)
    if disabled is not None:
        change = here.accounts.disable if disabled else here.accounts.enable
        change(who, user_id)


@router.delete("/users/{user_id}", responses={409: {"description": "say what becomes of the jobs"}})
def delete(
    here: ServicesDep,
    who: Administrator,
    user_id: str,
    jobs: JobsThen | None = None,
    heir: Annotated[str | None, Query(max_length=64)] = None,
) -> DeletionOut:
    """Delete a user. `jobs` says what becomes of theirs; `heir` is the user who takes them over.

    Without `jobs`, a user who owns some stays, and the answer (409, jobs-undecided) counts them.
    """
    decision = None if jobs is None else JobsDecision(jobs, heir)
    done = here.accounts.delete_user(who, user_id, decision)
    gone = [Gone(id=number, name=name) for number, name in done.jobs]
    return DeletionOut(message=done.said, jobs=gone)


@router.get("/invitations")
def invitations(here: ServicesDep, who: Administrator) -> list[InvitationOut]:
    """Invitations that nobody has used yet, the oldest first."""
    return [InvitationOut.model_validate(one) for one in here.accounts.invitations(who)]


@router.post("/invitations", status_code=201)
def invite(here: ServicesDep, who: Administrator, wanted: Invite) -> InvitationOut:
    """Send an invitation; one sent before to that address stops working."""
    return InvitationOut.model_validate(here.accounts.invite(who, wanted.email, wanted.role))


@router.delete("/invitations/{invitation_id}", status_code=204)
def withdraw(here: ServicesDep, who: Administrator, invitation_id: str) -> None:
    """Take an invitation back."""
    here.accounts.withdraw_invitation(who, invitation_id)
