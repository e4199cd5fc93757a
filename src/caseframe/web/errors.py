"""Every error as an answer: JSON for programs, a page for people. One shape, one file.

{"error": {"code": "not-found", "message": "…", "reasons": ["…"]}}
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from caseframe.domain.access import (
    STATUS,
    AccessError,
    InvalidInput,
    JobsUndecided,
    TokenRefused,
    TooManyAttempts,
)
from caseframe.domain.correlation import HEADER, LOGGED
from caseframe.domain.errors import (
    CaseError,
    CaseframeError,
    CatalogAway,
    CatalogBusy,
    CatalogFull,
    ModelUnavailable,
    NoRoom,
    NotFound,
    OverLimit,
    PictureError,
    PictureRefused,
    ReadError,
    ServiceAway,
    SourceError,
    Unroutable,
    UsageError,
    VisionAway,
    VisionBusy,
    VisionFailed,
    VisionLate,
)
from caseframe.domain.text import storable
from caseframe.web.correlation import NUMBER
from caseframe.web.door import here_again, sign_in_page
from caseframe.web.render import page
from caseframe.web.security import BARE
from caseframe.web.uploads import TooLarge, TooSlow

_log = structlog.get_logger(__name__)
SIGN_IN_FIRST = "sign in first"
_RETRY = {"retry-after": "5"}
# The first that fits counts, so a class stands before its base.
_BY_CLASS: tuple[tuple[type[CaseframeError], int, str], ...] = (
    (CatalogBusy, 503, "busy"),
    (CatalogFull, 507, "no-room"),
    (NoRoom, 507, "no-room"),
    (CatalogAway, 503, "away"),
    (CaseError, 500, "case-error"),
    (ServiceAway, 503, "away"),
    (Unroutable, 409, "no-queue"),
    (UsageError, 400, "invalid-input"),
    (NotFound, 404, "not-found"),
    (SourceError, 409, "source-missing"),
    (ModelUnavailable, 409, "model-unavailable"),
    (PictureRefused, 422, "picture-refused"),
    (OverLimit, 422, "over-limit"),
    (PictureError, 422, "picture-refused"),
    (ReadError, 409, "source-changed"),
    (VisionBusy, 503, "busy"),
    (VisionLate, 504, "late"),
    (VisionAway, 503, "away"),
    (VisionFailed, 500, "failed"),
    (TooLarge, 413, "too-large"),
    (TooSlow, 408, "too-slow"),
)
_API = ("/api/", "/vision/", "/static/", "/health", "/ready", "/metrics")


def wants_page(request: Request) -> bool:
    """Whether a person with a browser is asking, rather than a program."""
    accept = request.headers.get("accept", "")
    return "text/html" in accept and not request.url.path.startswith(_API)


def answer(
    request: Request,
    status: int,
    code: str,
    message: str,
    *,
    reasons: tuple[str, ...] = (),
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, object] | None = None,
) -> Response:
    """One error, as JSON or as a page; `more` stands beside it in JSON."""
    message, reasons = storable(message), tuple(map(storable, reasons))  # they quote what came
    if wants_page(request) and status == 401:
        fault = "" if message == SIGN_IN_FIRST else message
        return sign_in_page(
            request, status=401, target=here_again(request), fault=fault, headers=headers
        )
    if wants_page(request):
        return page(
            request, "error.html", status=status, headers=headers, number=status, message=message,
            reasons=reasons,
        )  # fmt: skip
    error: dict[str, object] = {"code": code, "message": message}
    if reasons:
        error["reasons"] = reasons
    return JSONResponse({"error": error, **(more or {})}, status, headers=dict(headers or {}))


# No coroutine, so it has a thread: the page to sign in asks the accounts, which may be elsewhere.
def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, TooManyAttempts):
        wait = {"retry-after": str(math.ceil(error.retry_after))}
        return answer(request, 429, error.code, str(error), headers=wait)
    if isinstance(error, TokenRefused):
        return answer(request, 401, error.code, str(error), headers={"www-authenticate": "Bearer"})
    reasons = error.reasons if isinstance(error, InvalidInput) else ()
    code = error.code if isinstance(error, AccessError) else "forbidden"
    more = {"jobs": error.count} if isinstance(error, JobsUndecided) else None
    return answer(request, STATUS.get(code, 403), code, str(error), reasons=reasons, more=more)


async def _ours(request: Request, error: Exception) -> Response:
    if not isinstance(error, CaseframeError):
        raise error
    for kind, status, code in _BY_CLASS:
        if isinstance(error, kind):
            if status >= 500:
                _log.warning("web.error", code=code, reason=str(error), path=request.url.path)
            headers = _RETRY if status == 503 else None
            return answer(request, status, code, error.public, headers=headers)
    return answer(request, 400, "refused", str(error))


def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    words = {404: "there is nothing at this address", 405: "this address does not take that"}
    message = words.get(error.status_code, str(error.detail))
    return answer(
        request, error.status_code, f"http-{error.status_code}", message, headers=error.headers
    )


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    reasons = tuple(
        f"{'.'.join(str(part) for part in one['loc'][1:]) or one['loc'][0]}: {one['msg']}"
        for one in error.errors()
    )
    return answer(request, 400, "invalid-input", "; ".join(reasons), reasons=reasons)


async def _bug(request: Request, error: Exception) -> Response:
    number = str(request.scope.get(NUMBER, ""))
    _log.error("web.failed", path=request.url.path, exc_info=error, **{LOGGED: number})
    said = "something went wrong here; the server's log says what"
    return answer(request, 500, "failed", said, headers={**BARE, HEADER: number})


async def _gone(request: Request, _error: Exception) -> Response:
    return answer(request, 400, "cut-off", "the request ended in the middle")


def install(app: FastAPI) -> None:
    """Have the application answer with these."""
    app.add_exception_handler(AccessError, _refused)
    app.add_exception_handler(CaseframeError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _bug)
