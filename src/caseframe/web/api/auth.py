"""Coming in and going out, for programs: sign-up, verification, sign-in, refresh, passwords.

The bodies of sign-up, sign-in, refresh and verify are the wire contract of the image-description
service; the pages for people stand in pages/.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from caseframe.domain.access import KeyRefused, TokenRefused
from caseframe.domain.people import NewAccount, Tokens
from caseframe.web.deps import From, ServicesDep, Who
from caseframe.web.errors import answer, wants_page
from caseframe.web.render import page
from caseframe.web.services import Services
from caseframe.web.session import with_session
from caseframe.web.turns import Changing

router = APIRouter(prefix="/auth", tags=["accounts"])
Key = Annotated[str, Query(max_length=100)]
_SENT = "if there is an account with this address, a mail is on its way"


class SignUp(BaseModel):
    """A new account. The rules of each value are told all at once when they are broken."""

    firstname: str
    lastname: str
    email: str
    password: str = Field(repr=False)


class SignIn(BaseModel):
    """Who wants to come in."""

    email: str
    password: str = Field(repr=False)


class Refresh(BaseModel):
    """A refresh token; it works once."""

    token: str = Field(repr=False)


class Address(BaseModel):
    """Whom to write to."""

    email: str


class NewPassword(BaseModel):
    """The key of a mail and the password to have from now on."""

    key: str = Field(max_length=100, repr=False)
    password: str = Field(repr=False)


class Said(BaseModel):
    """That it was done, in words."""

    status: Literal["success"] = "success"
    message: str


class TokensOut(BaseModel):
    """An access token for requests, and a refresh token for the next pair."""

    accessToken: str = Field(repr=False)  # noqa: N815 - the wire contract's name
    refreshToken: str = Field(repr=False)  # noqa: N815


def tokens_out(tokens: Tokens) -> TokensOut:
    """The pair as programs get it."""
    return TokensOut(accessToken=tokens.access, refreshToken=tokens.refresh)


def signed_out(response: Response, here: Services) -> Response:
    """The answer that ends the session of this browser.

    Pictures are cached as immutable: who uses the browser next must not find them there.
    """
    response.headers["clear-site-data"] = '"cache"'
    return with_session(response, None, secure=here.options.secure)


@router.post("/signup", status_code=201)
def sign_up(here: ServicesDep, client: From, new: SignUp) -> Said:
    """Make an account, where the sign-up policy is open; a mail asks to confirm the address."""
    account = NewAccount(new.firstname, new.lastname, new.email, new.password)
    user = here.accounts.sign_up(account, client)
    return Said(message=f"the account is made; confirm it by the mail to {user.email}")


@router.post("/signin")
def sign_in(here: ServicesDep, client: From, who: SignIn) -> TokensOut:
    """Start a session."""
    return tokens_out(here.accounts.sign_in(who.email, who.password, client))


@router.post(
    "/refresh",
    response_model=TokensOut,
    responses={401: {"description": "`isValid` is false: sign in again"}},
)
def refresh(
    request: Request, here: ServicesDep, client: From, old: Refresh
) -> TokensOut | Response:
    """The next pair of tokens. An old refresh token that comes again ends its session."""
    try:
        return tokens_out(here.accounts.refresh(old.token, client))
    except TokenRefused as error:
        said = {"isValid": False, "message": str(error)}
        return answer(request, 401, error.code, str(error), more=said)


@router.get("/verify", response_model=Said, dependencies=[Changing])
def verify(request: Request, here: ServicesDep, key: Key = "") -> Response:
    """Confirm an address with the key of a mail: once, within 30 minutes."""
    try:
        user = here.accounts.verify(key)
    except KeyRefused as error:
        if not wants_page(request):
            raise
        return page(request, "verified.html", status=400, fault=str(error))
    if wants_page(request):
        return page(request, "verified.html", fault=None)
    said = Said(message=f"the address {user.email} is confirmed; sign in now")
    return JSONResponse(said.model_dump())


@router.post("/resend", status_code=202)
def resend(here: ServicesDep, client: From, to: Address) -> Said:
    """Send the mail that confirms an address again; the answer never says whether there was one."""
    here.accounts.send_verification(to.email, client)
    return Said(message=_SENT)


@router.post("/forgot", status_code=202)
def forgot(here: ServicesDep, client: From, to: Address) -> Said:
    """Send a link for a new password; the answer never says whether there is such an account."""
    here.accounts.forgot_password(to.email, client)
    return Said(message=_SENT)


@router.post("/reset")
def reset(here: ServicesDep, new: NewPassword) -> Said:
    """Set a new password with the key of a mail; every session of the account ends."""
    here.accounts.reset_password(new.key, new.password)
    return Said(message="the password is changed and all devices are signed out; sign in now")


@router.post("/signout", response_model=Said)
def sign_out(here: ServicesDep, who: Who) -> Response:
    """End this session: its tokens are refused from now on."""
    here.accounts.sign_out(who)
    said = JSONResponse(Said(message="signed out").model_dump())
    return signed_out(said, here)
