"""What both ends of the wire agree on: names, metadata, sizes, and which status means what."""

from __future__ import annotations

from typing import Final

import grpc
from grpc import StatusCode

from caseframe.domain.access import TokenRefused
from caseframe.domain.correlation import HEADER, new_id, well_formed
from caseframe.domain.errors import CaseframeError, JobsAway, ReadError, UsageError
from caseframe.domain.text import one_line

CONTROLLER: Final = "jobmanager.JobManagerController"
CONTROL: Final = "jobmanager.JobControl"
GET_DATA: Final = "getData"
CORRELATION: Final = HEADER
AUTHORIZATION: Final = "authorization"
SIZE: Final = "x-size"
"""Initial metadata of getData: how many bytes will come, in decimals."""
CHUNK: Final = 1 << 20
"""Most bytes of a file in one message."""

Metadata = tuple[tuple[str, str], ...]
_PASSING = {
    StatusCode.UNAVAILABLE,
    StatusCode.RESOURCE_EXHAUSTED,
    StatusCode.DEADLINE_EXCEEDED,
    StatusCode.CANCELLED,
    StatusCode.UNKNOWN,
}
_CUT = ("RST_STREAM", "GOAWAY", "Connection")
_ERRORS: Final[dict[StatusCode, type[CaseframeError]]] = {
    StatusCode.UNAUTHENTICATED: TokenRefused,
    StatusCode.INVALID_ARGUMENT: UsageError,
    StatusCode.FAILED_PRECONDITION: UsageError,
}


def metadata(token: str, correlation_id: str) -> Metadata:
    """What every call carries. Raises TokenRefused for what can be no token.

    An id that the other side would refuse is replaced: it may have come with somebody's message.
    """
    if not token.isascii() or not token.isprintable():
        raise TokenRefused
    number = correlation_id if well_formed(correlation_id) else new_id()
    return ((CORRELATION, number), (AUTHORIZATION, f"Bearer {token}"))


def raised(error: grpc.RpcError, address: str, missing: type[CaseframeError]) -> CaseframeError:
    """Our error for a call to `address` that failed; `missing` stands for NOT_FOUND.

    JobsAway is the only one after which it is worth trying the same again.
    """
    status, details = error.code(), one_line(error.details() or "")
    if status in _PASSING or (status is StatusCode.INTERNAL and _is_cut(details)):
        return JobsAway(f"the job manager at {address} does not answer: {details or status.name}")
    if status is StatusCode.NOT_FOUND:
        return missing(details or "there is no such thing")
    kind = _ERRORS.get(status, ReadError if missing is ReadError else CaseframeError)
    return kind(details or f"the job manager at {address} said {status.name} and no more")


def _is_cut(details: str) -> bool:
    """Whether INTERNAL says only that the connection broke."""
    return any(word in details for word in _CUT)
