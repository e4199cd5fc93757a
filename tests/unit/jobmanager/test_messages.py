"""Cursors of lists, and what the job manager says of an error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
import pytest

from caseframe.domain.access import AccountsAway, Forbidden, NotThere, TokenRefused
from caseframe.domain.errors import (
    CaseError,
    CaseframeError,
    CatalogAway,
    CatalogBusy,
    JobsAway,
    NotFound,
    ReadError,
    UsageError,
)
from caseframe.jobmanager.answering import status_of
from caseframe.jobmanager.data import _varint
from caseframe.jobmanager.jobmanager_pb2 import GetDataResponse
from caseframe.jobmanager.messages import job_cursor, job_place, source_message
from caseframe.scanner.sources import Source

MOMENT = datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.mark.parametrize("moment", [MOMENT, datetime(1970, 1, 1, tzinfo=UTC),
                                    MOMENT - timedelta(days=40_000)])  # fmt: skip
@pytest.mark.parametrize("descending", [True, False])
def test_a_cursor_comes_back_exactly(moment: datetime, descending: bool) -> None:
    text = job_cursor(moment, "id", descending=descending)
    assert text.isascii()
    assert job_place(text, descending=descending) == (moment, "id")
    with pytest.raises(UsageError):
        job_place(text, descending=not descending)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TokenRefused(), "UNAUTHENTICATED"),
        (Forbidden("no"), "PERMISSION_DENIED"),
        (NotThere("no"), "NOT_FOUND"),
        (AccountsAway("no"), "UNAVAILABLE"),
        (CatalogAway("no"), "UNAVAILABLE"),
        (CatalogBusy("no"), "UNAVAILABLE"),
        (JobsAway("no"), "UNAVAILABLE"),
        (CaseError("no"), "INTERNAL"),
        (NotFound("no"), "NOT_FOUND"),
        (ReadError("no"), "ABORTED"),
        (UsageError("no"), "FAILED_PRECONDITION"),
        (CaseframeError("no"), "FAILED_PRECONDITION"),
    ],
)
def test_every_error_has_its_status(error: CaseframeError, status: str) -> None:
    assert status_of(error) is grpc.StatusCode[status]


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 1 << 20])
def test_pieces_are_encoded_as_the_library_would(size: int) -> None:
    data = bytes(size)
    ours = b"\x0a" + _varint(size) + data
    assert GetDataResponse.FromString(ours).data == data
    if size:
        assert GetDataResponse(data=data).SerializeToString() == ours


@pytest.mark.parametrize(("seconds", "year"), [(1e18, 9999), (-1e18, 1), (1_500_000_000.25, 2017)])
def test_a_folder_whose_time_no_calendar_holds_is_listed(seconds: float, year: int) -> None:
    said = source_message(Source(b"a", seconds, seconds))
    assert said.modified_at.ToDatetime().year == said.created_at.ToDatetime().year == year
