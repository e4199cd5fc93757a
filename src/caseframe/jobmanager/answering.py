"""How a call becomes an answer: its metadata checked, its log bound, every error in its form.

What somebody may not do, and what cannot be done now, ends a call with a gRPC status. What makes
no sense in the request itself is answered in the field `errors`, as clients of the contract expect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc
import structlog
from structlog.contextvars import bound_contextvars

from caseframe.domain.access import STATUS, AccessError, InvalidInput
from caseframe.domain.correlation import LOGGED
from caseframe.domain.errors import (
    CaseError,
    CaseframeError,
    CatalogAway,
    CatalogBusy,
    NotFound,
    ReadError,
    ServiceAway,
    SourceError,
    UsageError,
)
from caseframe.domain.text import one_line
from caseframe.jobmanager import jobmanager_pb2 as pb
from caseframe.jobmanager.callers import Asked, asked
from caseframe.jobmanager.messages import service_error

_log = structlog.get_logger(__name__)
_Context = grpc.ServicerContext
_CODES = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
# The first that fits counts, so a class stands before its base.
_BY_CLASS: tuple[tuple[type[CaseframeError], grpc.StatusCode], ...] = (
    (CatalogAway, grpc.StatusCode.UNAVAILABLE),
    (CatalogBusy, grpc.StatusCode.UNAVAILABLE),
    (ServiceAway, grpc.StatusCode.UNAVAILABLE),
    (NotFound, grpc.StatusCode.NOT_FOUND),
    (ReadError, grpc.StatusCode.ABORTED),
    (UsageError, grpc.StatusCode.FAILED_PRECONDITION),
    (CaseError, grpc.StatusCode.INTERNAL),
)
# Refusals of the request itself, with HTTP status and name.
_REFUSALS: tuple[tuple[type[CaseframeError], int, str], ...] = (
    (InvalidInput, 400, InvalidInput.code),
    (UsageError, 400, "invalid-input"),
    (NotFound, 404, "not-found"),
    (SourceError, 409, "source-missing"),
)


def unary(
    method: str, work: Callable[[Asked, Any], Any], refused: type[Any] | None = None
) -> Callable[[Any, _Context], Any]:
    """A handler that answers a request by `work`.

    `refused` is the message whose field `errors` holds refusals; without one they are statuses.
    """

    def answer(request: Any, context: _Context) -> Any:
        with call(method, context) as asks:
            try:
                return work(asks, request)
            except CaseframeError as error:
                said = None if refused is None else _refusal(error)
                if said is None or refused is None:
                    raise
                return refused(errors=said)

    return answer


@contextmanager
def call(method: str, context: _Context) -> Iterator[Asked]:
    """One call: yields what its metadata say; errors end it with their status."""
    try:
        asks = asked(context.invocation_metadata())
    except UsageError as error:
        _end(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except AccessError as error:
        _end(context, status_of(error), str(error))
    with bound_contextvars(**{LOGGED: asks.correlation_id, "method": method}):
        try:
            yield asks
        except grpc.RpcError:  # who asked has left; nothing is to be said
            raise
        except CaseframeError as error:
            status = status_of(error)
            if status in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL}:
                _log.warning("jobs.refused", status=status.name, reason=str(error))
            _end(context, status, str(error))
        except Exception as error:  # noqa: BLE001 - the boundary of one call: it ends with a status
            _log.exception("jobs.failed")
            said = f"mistake in the service: {type(error).__name__}"
            _end(context, grpc.StatusCode.INTERNAL, said)


def status_of(error: CaseframeError) -> grpc.StatusCode:
    """The status with which a call ends that met this error."""
    if isinstance(error, AccessError):
        return _CODES.get(STATUS.get(error.code, 403), grpc.StatusCode.FAILED_PRECONDITION)
    found = (code for kind, code in _BY_CLASS if isinstance(error, kind))
    return next(found, grpc.StatusCode.FAILED_PRECONDITION)


def _refusal(error: CaseframeError) -> pb.ServiceError | None:
    """The answer to a request that makes no sense; None for all other errors."""
    for kind, status, name in _REFUSALS:
        if isinstance(error, kind):
            return service_error(status, name, one_line(str(error)))
    return None


def _end(context: _Context, status: grpc.StatusCode, reason: str) -> NoReturn:
    context.abort(status, one_line(reason))
