"""Making an account by a link: an invitation, or the one for the first administrator."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response

from caseframe.domain.access import AccessError
from caseframe.web.deps import From, ServicesDep
from caseframe.web.pages.entry import AccountForm, come_in
from caseframe.web.pages.forms import again, shown

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
def first_form(request: Request, key: Key = "") -> Response:
    """Asks who the first administrator is; the key is looked at when the form comes back."""
    return shown(request, "first.html", form=AccountForm(key=key).kept())


@router.post("/first")
def first(request: Request, here: ServicesDep, client: From, form: Filled) -> Response:
    """Make the first administrator and sign in."""
    try:
        tokens = here.accounts.create_first_administrator(form.key, form.account(), client)
    except AccessError as error:
        return again(request, "first.html", error, form=form.kept())
    return come_in(here, tokens, "/jobs")
