"""Users and invitations, for administrators."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from pydantic import BaseModel

from caseframe.catalog.accounts import jobs_of
from caseframe.domain.access import (
    STATUS,
    AccessError,
    Conflict,
    InvalidInput,
    NotThere,
    Principal,
    Role,
)
from caseframe.domain.people import JobsDecision, JobsThen, User, UserFilter
from caseframe.web.api.users import change_user
from caseframe.web.deps import Administrator, ServicesDep
from caseframe.web.pages.forms import Faults, faults_of, shown
from caseframe.web.said import done
from caseframe.web.services import Services

router = APIRouter(prefix="/users")
_PAGE = 50
_MOST_HEIRS = 200


class State(StrEnum):
    """How the list is filtered by what an account is."""

    ALL = ""
    ACTIVE = "active"
    WAITING = "waiting"
    DISABLED = "disabled"


class Wanted(BaseModel):
    """The filter of the list as its address holds it."""

    text: str = ""
    role: Role | None = None
    state: State = State.ALL
    after: str | None = None

    def filter(self) -> UserFilter:
        """The filter as accounts take it."""
        verified = {State.ACTIVE: True, State.WAITING: False}.get(self.state)
        disabled = {State.ACTIVE: False, State.DISABLED: True}.get(self.state)
        return UserFilter(self.text, self.role, verified, disabled)


def _list(
    request: Request, here: Services, who: Principal, wanted: Wanted,
    error: AccessError | None = None, invite: tuple[str, Role] = ("", Role.EXAMINER),
) -> Response:  # fmt: skip
    found = here.accounts.users(who, wanted.filter(), wanted.after, _PAGE)
    return shown(
        request, "users.html", status=STATUS[error.code] if error else 200,
        faults=faults_of(error) if error else {}, found=found, wanted=wanted, roles=list(Role),
        states=State, invitations=here.accounts.invitations(who), invite=invite,
        policy=here.accounts.policy(),
    )  # fmt: skip


@router.get("")
def users(
    request: Request,
    here: ServicesDep,
    who: Administrator,
    text: Annotated[str, Query(max_length=200)] = "",
    role: str = "",
    state: str = "",
    after: Annotated[str | None, Query(max_length=600)] = None,
) -> Response:
    """The list, with a filter, and the invitations that wait."""
    # An empty choice of the form is an empty text; anything unknown is taken for it.
    wanted = Wanted(
        text=text,
        role=Role(role) if role in set(Role) else None,
        state=State(state) if state in set(State) else State.ALL,
        after=after or None,
    )
    return _list(request, here, who, wanted)


@router.post("/invite")
def invite(
    request: Request,
    here: ServicesDep,
    who: Administrator,
    email: Annotated[str, Form()] = "",
    role: Annotated[Role, Form()] = Role.EXAMINER,
) -> Response:
    """Send an invitation."""
    try:
        sent = here.accounts.invite(who, email, role)
    except AccessError as error:
        return _list(request, here, who, Wanted(), error, (email, role))
    outbox = here.options.outbox
    where = f" There is no mail server: the mail is a file in {outbox}." if outbox else ""
    return done(request, "/users", f"{sent.email} is invited as {sent.role}.{where}")


@router.post("/invitations/{invitation_id}/withdraw")
def withdraw(
    request: Request, here: ServicesDep, who: Administrator, invitation_id: str
) -> Response:
    """Take an invitation back."""
    try:
        here.accounts.withdraw_invitation(who, invitation_id)
    except NotThere as error:
        return done(request, "/users", str(error))
    return done(request, "/users", "The invitation is withdrawn; its link does not work any more.")


def _user(
    request: Request, here: Services, who: Principal, user_id: str,
    error: AccessError | None = None, faults: Faults | None = None,
) -> Response:  # fmt: skip
    user = here.accounts.get_user(who, user_id)
    with here.catalog.read() as connection:
        owned = jobs_of(connection, user.id)
    return shown(
        request, "user.html", status=STATUS[error.code] if error else 200, user=user,
        faults=faults or {}, jobs=[name for _, name, _ in owned], roles=list(Role),
        heirs=_heirs(here, who, user) if owned else [],
    )  # fmt: skip


def _heirs(here: Services, who: Principal, user: User) -> list[User]:
    """Who may take over jobs: those who could have made them."""
    found: list[User] = []
    for role in (Role.ADMINISTRATOR, Role.EXAMINER):
        wanted = UserFilter(role=role, verified=True, disabled=False)
        found += here.accounts.users(who, wanted, None, _MOST_HEIRS).users
    return [one for one in found if one.id != user.id]


@router.get("/{user_id}")
def user(request: Request, here: ServicesDep, who: Administrator, user_id: str) -> Response:
    """One user, and what can be done about them."""
    return _user(request, here, who, user_id)


@router.post("/{user_id}/change")
def change(
    request: Request,
    here: ServicesDep,
    who: Administrator,
    user_id: str,
    role: Annotated[Role | None, Form()] = None,
    disabled: Annotated[bool | None, Form()] = None,
) -> Response:
    """Give another role, shut out, or let in again."""
    try:
        change_user(here, who, user_id, role, disabled)
    except Conflict as error:
        return _user(request, here, who, user_id, error, faults_of(error))
    now = here.accounts.get_user(who, user_id) if user_id != who.user_id else None
    return done(request, f"/users/{user_id}" if now else "/", _said(role, disabled))


def _said(role: Role | None, disabled: bool | None) -> str:
    words = [f"The role is {role} now."] if role is not None else []
    if disabled is not None:
        words.append("The account is disabled and signed out." if disabled
                     else "The account can sign in again.")  # fmt: skip
    return " ".join(words)


@router.post("/{user_id}/delete")
def delete(
    request: Request,
    here: ServicesDep,
    who: Administrator,
    user_id: str,
    jobs: Annotated[JobsThen | None, Form()] = None,
    heir: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Delete a user and say what that did."""
    decision = None if jobs is None else JobsDecision(jobs, heir or None)
    try:
        if jobs is JobsThen.HAND_OVER and not heir:
            raise InvalidInput("say who takes the jobs over")
        gone = here.accounts.delete_user(who, user_id, decision)
    except (Conflict, InvalidInput) as error:
        return _user(request, here, who, user_id, error, {"delete": list(faults_of(error)[""])})
    return done(request, "/users", gone.said)
