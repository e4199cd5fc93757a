"""Words for the next page: what a form did is said once, where the browser goes afterwards."""

from __future__ import annotations

import base64
import binascii

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

_COOKIE = "caseframe_said"
_LONGEST = 2000


def done(request: Request, address: str, words: str) -> Response:
    """Go to a page that then says these words, so that a reload repeats nothing."""
    answer = RedirectResponse(address, 303)
    text = base64.urlsafe_b64encode(words.encode()[:_LONGEST]).decode()
    secure = request.app.state.services.options.secure
    answer.set_cookie(_COOKIE, text, max_age=60, httponly=True, samesite="lax", secure=secure)
    return answer


def words_for(request: Request) -> str:
    """What is left to be said; "" for nothing."""
    text = request.cookies.get(_COOKIE, "")[: 2 * _LONGEST]
    try:
        return base64.urlsafe_b64decode(text).decode("utf-8", "ignore")
    except (binascii.Error, ValueError):
        return ""


def forget(answer: Response) -> None:
    """It was said."""
    answer.delete_cookie(_COOKIE, httponly=True, samesite="lax")
