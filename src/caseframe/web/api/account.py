"""One's own account: name, password, sessions."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from caseframe.domain.access import Principal, Role
from caseframe.domain.people import User
from caseframe.web.api.auth import TokensOut, tokens_out
from caseframe.web.deps import From, ServicesDep, Who
from caseframe.web.services import Services

router = APIRouter(prefix="/api/v1/me", tags=["accounts"])


class UserOut(BaseModel):
    """An account. Times that are null: not confirmed, not disabled, never signed in."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    email: str
    first_name: str
    last_name: str
    role: Role
    verified_at: datetime | None
    disabled_at: datetime | None
    created_at: datetime
    last_seen_at: datetime | None
    has_password: bool


class MeOut(UserOut):
    """One's own account, and the other providers at which one can sign in."""

    providers: tuple[str, ...]


class NameChange(BaseModel):
    """A new name; what is left out stays. Nothing else of an account is one's own to change."""

    model_config = ConfigDict(extra="forbid")

    first_name: str | None = None
    last_name: str | None = None


class PasswordChange(BaseModel):
    """The password until now and the one from now on."""

    before: str = Field(repr=False)
    after: str = Field(repr=False)


class SessionOut(BaseModel):
    """One sign-in on one device; `current` is the one that asks."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    user_agent: str
    address: str
    current: bool


class Ended(BaseModel):
    """How many sessions were ended."""

    sessions: int


def _out(here: Services, who: Principal, user: User) -> MeOut:
    shown = UserOut.model_validate(user).model_dump()
    return MeOut(**shown, providers=here.accounts.providers_of(who))


@router.get("")
def me(here: ServicesDep, who: Who) -> MeOut:
    """Who one is here."""
    return _out(here, who, here.accounts.user(who))


@router.patch("")
def rename(here: ServicesDep, who: Who, wanted: NameChange) -> MeOut:
    """Change one's own name. Roles are given by administrators alone."""
    first = who.first_name if wanted.first_name is None else wanted.first_name
    last = who.last_name if wanted.last_name is None else wanted.last_name
    return _out(here, who, here.accounts.rename(who, first, last))


@router.post("/password")
def change_password(here: ServicesDep, who: Who, client: From, wanted: PasswordChange) -> TokensOut:
    """Change one's password. Every session ends, this one too; the answer is a new one."""
    return tokens_out(here.accounts.change_password(who, wanted.before, wanted.after, client))


@router.get("/sessions")
def sessions(here: ServicesDep, who: Who) -> list[SessionOut]:
    """One's own sessions, the last used first."""
    return [SessionOut.model_validate(one) for one in here.accounts.sessions(who)]


@router.delete("/sessions")
def end_others(here: ServicesDep, who: Who) -> Ended:
    """End all of one's own sessions but this one."""
    return Ended(sessions=here.accounts.end_other_sessions(who))


@router.delete("/sessions/{session_id}", status_code=204)
def end_session(here: ServicesDep, who: Who, session_id: str) -> None:
    """End one of one's own sessions."""
    here.accounts.end_session(who, session_id)
