"""Making an account by a link: an invitation, or the one for the first administrator."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response

from caseframe.domain.access import STATUS, AccessError, Conflict, KeyRefused
from caseframe.web.deps import From, ServicesDep
from caseframe.web.pages.entry import AccountForm, come_in
from caseframe.web.pages.forms import again, shown
from caseframe.web.render import page

router = APIRouter(prefix="/auth")
Key = Annotated[str, Query(max_length=100)]
Filled = Annotated[AccountForm, Form()]


@router.get("/invitation")
def invitation_form(request: Request, here: ServicesDep, key: Key = "") -> Response:
    """Says who is invited as what, and asks for the rest."""
    found = here.accounts.invitation(key)
    form = AccountForm(key=key, email=found.email).kept()
    return shown(request, "invitation.html", invitation=found, form=form)


@router.post("/invitation")
def accept(request: Request, here: ServicesDep, client: From, form: Filled) -> Response:
    """Make the account and sign in."""
    found = here.accounts.invitation(form.key)
    try:
        tokens = here.accounts.accept_invitation(form.key, form.account(), client)
    except AccessError as error:
        kept = {**form.kept(), "email": found.email}
        return again(request, "invitation.html", error, invitation=found, form=kept)
    return come_in(here, tokens)


@router.get("/first")
def first_form(request: Request, here: ServicesDep, key: Key = "") -> Response:
    """Asks who the first administrator is, if the key still makes one."""
    try:
        here.accounts.check_first_key(key)
    except (Conflict, KeyRefused) as error:
        return _closed(request, error)
    return shown(request, "first.html", form=AccountForm(key=key).kept())


def _closed(request: Request, error: Conflict | KeyRefused) -> Response:
    """Says why the link makes nobody an administrator, without the form."""
    taken = isinstance(error, Conflict)
    return page(request, "first_closed.html", status=STATUS[error.code], taken=taken)


@router.post("/first")
def first(request: Request, here: ServicesDep, client: From, form: Filled) -> Response:
    """Make the first administrator and sign in."""
    try:
        tokens = here.accounts.create_first_administrator(form.key, form.account(), client)
    except (Conflict, KeyRefused) as error:
        return _closed(request, error)
    except AccessError as error:
        return again(request, "first.html", error, form=form.kept())
    return come_in(here, tokens, "/jobs")
