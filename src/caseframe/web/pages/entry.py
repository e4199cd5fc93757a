"""Coming in and going out, for people: sign-in, sign-up, sign-out, forgotten passwords."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse

from caseframe.domain.access import (
    STATUS,
    AccessError,
    AccountsAway,
    InvalidInput,
    KeyRefused,
    NotVerified,
    SignUpPolicy,
    SignUpRefused,
    TokenRefused,
    TooManyAttempts,
)
from caseframe.domain.people import Client, NewAccount, Tokens
from caseframe.web.api.auth import signed_out
from caseframe.web.deps import From, ServicesDep, principal, token_of
from caseframe.web.door import own_path, sign_in_page
from caseframe.web.pages.forms import again, shown
from caseframe.web.said import done
from caseframe.web.services import Services
from caseframe.web.session import with_session

router = APIRouter()
Next = Annotated[str, Query(max_length=4096)]
Key = Annotated[str, Query(max_length=100)]


class SignInForm(BaseModel):
    """Fields of the sign-in page."""

    email: str = ""
    password: str = Field(default="", repr=False)
    next: str = "/"


class AccountForm(BaseModel):
    """Fields of every page that makes an account; `key` is that of its link."""

    first_name: str = ""
    last_name: str = ""
    email: str = ""
    password: str = Field(default="", repr=False)
    key: str = Field(default="", max_length=100, repr=False)

    def account(self) -> NewAccount:
        """The account to make."""
        return NewAccount(self.first_name, self.last_name, self.email, self.password)

    def kept(self) -> dict[str, str]:
        """What the form shows again: all but the password."""
        return self.model_dump(exclude={"password"})


def come_in(here: Services, tokens: Tokens, target: str = "/") -> Response:
    """Go to a page with the session of these tokens."""
    answer = RedirectResponse(own_path(target), 303)
    return with_session(answer, tokens, secure=here.options.secure)


def _known(request: Request, here: Services) -> bool:
    try:
        return token_of(request) is not None and bool(principal(request, here))
    except TokenRefused:
        return False


@router.get("/sign-in")
def sign_in_form(request: Request, here: ServicesDep, next: Next = "/") -> Response:  # noqa: A002
    """The form; those who are signed in go on."""
    if _known(request, here):
        return RedirectResponse(own_path(next), 303)
    return sign_in_page(request, target=next)


@router.post("/sign-in")
def sign_in(
    request: Request, here: ServicesDep, client: From, form: Annotated[SignInForm, Form()]
) -> Response:
    """Start a session."""
    try:
        tokens = here.accounts.sign_in(form.email, form.password, client)
    except AccessError as error:
        wait = error.retry_after if isinstance(error, TooManyAttempts) else 0
        return sign_in_page(
            request, status=STATUS[error.code], target=form.next, email=form.email,
            fault=str(error), unconfirmed=isinstance(error, NotVerified),
            headers={"retry-after": str(math.ceil(wait))} if wait else None,
        )  # fmt: skip
    return come_in(here, tokens, form.next)


@router.post("/sign-out")
def sign_out(request: Request, here: ServicesDep) -> Response:
    """End the session, also one that has ended already."""
    if _known(request, here):
        here.accounts.sign_out(request.state.principal)
    return signed_out(done(request, "/sign-in", "You are signed out."), here)


@router.get("/sign-up")
def sign_up_form(request: Request, here: ServicesDep) -> Response:
    """The form, where the policy lets strangers in."""
    _require_open(here)
    return shown(request, "sign_up.html", form=AccountForm().kept())


@router.post("/sign-up")
def sign_up(
    request: Request, here: ServicesDep, client: From, form: Annotated[AccountForm, Form()]
) -> Response:
    """Make an account that waits for its mail."""
    _require_open(here)
    try:
        user = here.accounts.sign_up(form.account(), client)
    except AccessError as error:
        return again(request, "sign_up.html", error, form=form.kept())
    return shown(request, "mail_sent.html", status=201, email=user.email, what="confirm")


def _require_open(here: Services) -> None:
    if here.accounts.policy() is not SignUpPolicy.OPEN:
        raise SignUpRefused("accounts in this case are by invitation; ask its administrator")


@router.post("/resend")
def resend(
    request: Request, here: ServicesDep, client: From, email: Annotated[str, Form()] = ""
) -> Response:
    """Send the mail that confirms an address once more."""
    return _send(request, here, client, email, "confirm")


@router.get("/forgot")
def forgot_form(request: Request) -> Response:
    """Asks for the address."""
    return shown(request, "forgot.html", email="")


@router.post("/forgot")
def forgot(
    request: Request, here: ServicesDep, client: From, email: Annotated[str, Form()] = ""
) -> Response:
    """Send a link for a new password."""
    return _send(request, here, client, email, "reset")


def _send(request: Request, here: Services, client: Client, email: str, what: str) -> Response:
    accounts = here.accounts
    send = accounts.forgot_password if what == "reset" else accounts.send_verification
    try:
        send(email, client)
    except (InvalidInput, TooManyAttempts, AccountsAway) as error:
        return again(request, "forgot.html", error, email=email)
    return shown(request, "mail_sent.html", status=202, email=email, what=what)


@router.get("/auth/reset")
def reset_form(request: Request, key: Key = "") -> Response:
    """Asks for the new password."""
    return shown(request, "reset.html", key=key)


@router.get("/reset")
def reset_again() -> Response:
    """Where a reload of the form leads that was sent from the link's page."""
    return RedirectResponse("/forgot", 303)


@router.post("/reset")
def reset(
    request: Request,
    here: ServicesDep,
    key: Annotated[str, Form(max_length=100)] = "",
    password: Annotated[str, Form()] = "",
) -> Response:
    """Set the new password."""
    try:
        here.accounts.reset_password(key, password)
    except (KeyRefused, InvalidInput, AccountsAway) as error:
        return again(request, "reset.html", error, key=key)
    words = "Your password is changed and all devices are signed out. Sign in now."
    return signed_out(done(request, "/sign-in", words), here)
