"""Ranges that lie outside what there can be, the same in SQLite and in PostgreSQL."""

from __future__ import annotations

import pytest
from tests.support.outcomes import done, outcome

from caseframe.catalog import gallery, jobs
from caseframe.catalog.database import Catalog
from caseframe.catalog.recording import record
from caseframe.catalog.search.choices import GalleryQuery
from caseframe.domain.facts import Capture, Face, Facts


@pytest.fixture
def job(catalog: Catalog) -> str:
    """A crowd on the last day there is, nobody on the first."""
    crowd = Facts(faces=(Face(1, 2, 30, 40, 0.9),) * 120, capture=Capture("9999-12-31T10:00:00"))
    nobody = Facts(faces=(), capture=Capture("0001-01-01T10:00:00"))
    with catalog.begin() as connection:
        made = jobs.create_job(connection, "a job", b"/source", ("exif",)).id
        record(connection, made, [
            outcome(b"crowd", b"crowd", done("exif", facts=crowd)),
            outcome(b"nobody", b"nobody", done("exif", facts=nobody)),
        ])  # fmt: skip
    return made


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("faces:<0", set()),
        ("faces:0", {b"nobody"}),
        ("faces:<=0", {b"nobody"}),
        ("faces:<1", {b"nobody"}),
        ("faces:99", set()),
        ("faces:120", {b"crowd"}),
        ("faces:>98", {b"crowd"}),
        ("faces:>120", set()),
        ("date:>9999", set()),
        ("date:>9999-12-30", {b"crowd"}),
        ("date:9999-12-31", {b"crowd"}),
        ("date:<0001", set()),
        ("date:<0001-01-02", {b"nobody"}),
    ],
)
def test_what_a_range_finds_and_how_many(
    catalog: Catalog, job: str, query: str, expected: set[bytes]
) -> None:
    with catalog.read() as connection:
        page = gallery.page(connection, job, GalleryQuery(query))
        count = gallery.count(connection, job, GalleryQuery(query))
    assert {tile.path for tile in page.tiles} == expected
    assert count.number == len(expected)
