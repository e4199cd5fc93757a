"""One's own account: name, password, other providers, sessions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from caseframe.domain.access import (
    STATUS,
    AccessError,
    AccountDisabled,
    InvalidInput,
    NotThere,
    Principal,
    SignInRefused,
)
from caseframe.web.api.auth import signed_out
from caseframe.web.deps import From, ServicesDep, Who
from caseframe.web.device import device
from caseframe.web.pages.forms import Faults, faults_of, shown
from caseframe.web.render import count_words
from caseframe.web.said import done
from caseframe.web.services import Services
from caseframe.web.session import with_session

router = APIRouter(prefix="/account")
Text = Annotated[str, Form()]


def _account(
    request: Request, here: Services, who: Principal, error: AccessError | None = None,
    faults: Faults | None = None, names: tuple[str, str] | None = None,
) -> Response:  # fmt: skip
    user = here.accounts.user(who)
    return shown(
        request, "account.html", status=STATUS[error.code] if error else 200, user=user,
        names=names or (user.first_name, user.last_name), faults=faults or {},
        sessions=[(one, device(one.user_agent)) for one in here.accounts.sessions(who)],
        linked=here.accounts.providers_of(who), buttons=here.providers.providers(),
    )  # fmt: skip


@router.get("")
def account(request: Request, here: ServicesDep, who: Who) -> Response:
    """Everything about oneself."""
    return _account(request, here, who)


@router.post("/name")
def rename(
    request: Request, here: ServicesDep, who: Who, first_name: Text = "", last_name: Text = ""
) -> Response:
    """Change one's name."""
    try:
        here.accounts.rename(who, first_name, last_name)
    except InvalidInput as error:
        names = (first_name, last_name)
        return _account(request, here, who, error, faults_of(error), names)
    return done(request, "/account", "Your name is changed.")


@router.post("/password")
def change_password(
    request: Request, here: ServicesDep, who: Who, client: From, before: Text = "", after: Text = ""
) -> Response:
    """Change one's password; this browser goes on with a new session."""
    try:
        tokens = here.accounts.change_password(who, before, after, client)
    except SignInRefused:
        wrong = InvalidInput("this is not your password")
        return _account(request, here, who, wrong, {"before": list(wrong.reasons)})
    except AccountDisabled:
        raise
    except AccessError as error:
        found = faults_of(error)
        faults = {"after" if name == "password" else "whole": f for name, f in found.items()}
        return _account(request, here, who, error, faults)
    words = "Your password is changed, and all other devices are signed out."
    answer = done(request, "/account", words)
    return with_session(answer, tokens, secure=here.options.secure)


@router.post("/sessions/end-others")
def end_others(request: Request, here: ServicesDep, who: Who) -> Response:
    """End every session but this one."""
    count = here.accounts.end_other_sessions(who)
    return done(request, "/account", f"{count_words(count, 'other session')} ended.")


@router.post("/sessions/{session_id}/end")
def end_session(request: Request, here: ServicesDep, who: Who, session_id: str) -> Response:
    """End one session; this one means signing out."""
    if session_id == who.session_id:
        here.accounts.sign_out(who)
        return signed_out(done(request, "/sign-in", "You are signed out."), here)
    try:
        here.accounts.end_session(who, session_id)
    except NotThere as error:
        return done(request, "/account", str(error))
    return done(request, "/account", "The session is ended.")
