"""Signing in at another provider: out to it, and back with its answer."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.responses import RedirectResponse

from caseframe.accounts.oauth import STATE_LIFE
from caseframe.web.deps import From, ServicesDep
from caseframe.web.door import own_path
from caseframe.web.pages.entry import come_in
from caseframe.web.services import Services
from caseframe.web.turns import Changing

router = APIRouter(prefix="/auth/oauth")
Name = Annotated[str, Path(max_length=64)]
_STATE, _NEXT = "caseframe_state", "caseframe_next"


@router.get("/{provider}")
def out(
    here: ServicesDep,
    provider: Name,
    next: Annotated[str, Query(max_length=4096)] = "/",  # noqa: A002
) -> Response:
    """Send the browser to the provider; a cookie keeps what its answer must fit."""
    url, sealed = here.providers.authorize_url(provider, _return_address(here, provider))
    answer = RedirectResponse(url, 303)
    _keep(here, answer, provider, _STATE, sealed)
    _keep(here, answer, provider, _NEXT, quote(own_path(next), safe=""))
    return answer


@router.get("/{provider}/return", dependencies=[Changing])
def back(request: Request, here: ServicesDep, client: From, provider: Name) -> Response:
    """Start a session for whom the provider vouches for."""
    sealed = request.cookies.get(_STATE, "")
    identity = here.providers.finish(provider, dict(request.query_params), sealed)
    tokens = here.accounts.sign_in_with_identity(identity, client)
    answer = come_in(here, tokens, own_path(unquote(request.cookies.get(_NEXT, ""))))
    for name in (_STATE, _NEXT):
        answer.delete_cookie(name, path=_path(provider), httponly=True, samesite="lax")
    return answer


def _return_address(here: Services, provider: str) -> str:
    return f"{here.options.public_url}{_path(provider)}/return"


def _path(provider: str) -> str:
    return f"/auth/oauth/{provider}"


def _keep(here: Services, answer: Response, provider: str, name: str, value: str) -> None:
    # Lax, because the browser comes back from another site; only to this address, and not for long.
    answer.set_cookie(
        name, value, max_age=int(STATE_LIFE.total_seconds()), path=_path(provider), httponly=True,
        samesite="lax", secure=here.options.secure,
    )  # fmt: skip
